# The build needs the development dependencies, the program does not: two stages.
FROM node:24-slim AS build
WORKDIR /src
COPY package.json package-lock.json tsconfig.json tsconfig.build.json ./
COPY cmd ./cmd
COPY lib ./lib
# `npm ci` runs `prepare`, which writes dist/: the sources must be there already, and nothing may be omitted
# yet. What only the build needed goes afterwards, without running `prepare` again.
RUN npm ci --no-audit --no-fund && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
# --version reads package.json; "type": "module" in it says what the files are.
COPY --from=build /src/package.json ./
COPY --from=build /src/node_modules ./node_modules
COPY --from=build /src/dist ./dist
COPY LICENSE ./
# The image's user `node`, by number: `runAsNonRoot` cannot judge a name.
USER 1000:1000
EXPOSE 8443 8080
# No shell in between: SIGTERM reaches the program, which drains. Up to 96 MiB for what lives as long as a request
# (docs/decisions/0034-what-requests-leave-behind.md).
ENTRYPOINT ["node", "--max-semi-space-size=32", "dist/cmd/main.js"]
CMD ["serve"]
