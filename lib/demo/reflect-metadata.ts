/*
 * `@peculiar/x509` reaches `tsyringe`, which refuses to load unless `Reflect.getMetadata` exists. Nothing on
 * the path used here ever stores metadata, so three functions that know of none stand in for the package
 * `reflect-metadata`. A real one that was loaded first is left alone.
 */
const none: Readonly<Record<string, () => undefined>> = {
  getMetadata: () => undefined,
  getOwnMetadata: () => undefined,
  defineMetadata: () => undefined,
}

for (const [name, value] of Object.entries(none)) {
  if (!(name in Reflect)) Object.defineProperty(Reflect, name, { value, configurable: true })
}
