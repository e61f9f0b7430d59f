// Command exec-node answers the exec requests of an API server as a kubelet does, with the streaming
// code that kubelets use, by running the commands on this machine; and its log requests, with the lines
// of a file named after the pod.
//
// It stands beside kwok because kwok neither closes a command's standard input when the client closes
// its own, nor passes exit codes on; whether those arrive is what has to be shown. Nor do more than about a
// hundred follow a log of kwok at once: each takes one of the few inotify instances of a user.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	cert := flag.String("tls-cert-file", "", "serving certificate")
	key := flag.String("tls-private-key-file", "", "its key")
	clientCA := flag.String("client-ca-file", "", "who may ask")
	folder := flag.String("folder", ".", "where commands run")
	flag.Parse()

	pem, err := os.ReadFile(*clientCA)
	if err != nil {
		log.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(pem)

	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		options, err := remotecommand.NewOptions(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		remotecommand.ServeExec(w, r, runner{*folder}, r.PathValue("pod"), "", r.PathValue("container"),
			r.URL.Query()["command"], options, 4*time.Hour, 30*time.Second,
			remotecommand.SupportedStreamingProtocols)
	})
	mux.HandleFunc("/containerLogs/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		lines, err := strconv.Atoi(query.Get("tailLines"))
		if err != nil {
			http.Error(w, "tailLines is needed", http.StatusBadRequest)
			return
		}
		path := filepath.Join(*folder, filepath.Base(r.PathValue("pod"))+".log")
		showLog(r.Context(), w, path, lines, query.Get("follow") == "true")
	})
	server := &http.Server{
		Addr:    *listen,
		Handler: mux,
		// Upgrades are HTTP/1.1.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		TLSConfig:    &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients},
	}
	log.Fatal(server.ListenAndServeTLS(*cert, *key))
}

// showLog writes the last lines of a file and, if it follows, each that comes, until nobody reads any more.
func showLog(ctx context.Context, w http.ResponseWriter, path string, lines int, follow bool) {
	file, err := os.Open(path)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	start := len(content)
	for ; lines > 0 && start > 0; lines-- {
		start = bytes.LastIndexByte(content[:start-1], '\n') + 1
	}
	flusher := http.NewResponseController(w)
	_, err = w.Write(content[start:])
	for follow && err == nil && ctx.Err() == nil {
		_ = flusher.Flush()
		time.Sleep(20 * time.Millisecond)
		_, err = io.Copy(w, file)
	}
}

type runner struct{ folder string }

func (r runner) ExecInContainer(ctx context.Context, _, _, _ string, command []string, in io.Reader,
	out, errOut io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = r.folder
	if out != nil {
		cmd.Stdout = out
	}
	if errOut != nil {
		cmd.Stderr = errOut
	}
	if in != nil {
		pipe, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(pipe, in)
			_ = pipe.Close()
		}()
	}
	err := cmd.Run()
	if exit, ok := err.(*exec.ExitError); ok {
		return &utilexec.ExitErrorWrapper{ExitError: exit}
	}
	return err
}
