// A peer of impcert-worker for the benchmark: the same work in Go, tuned as for production.
//
// Libraries: franz-go (Kafka), net/http (Iamport; keep-alive, HTTP/2 over TLS), the official MongoDB driver, fastjson.
//
// One goroutine polls Kafka and queues events; a fixed pool of IMPCERT_IN_FLIGHT goroutines verifies them; a store gathers
// what is verified, by size or a few ms of age, and writes each batch with an unordered insert ("insert first": most are
// new), then upserts those that turn out to be there already. Each partition remembers its events in their order; the end
// of its finished prefix is marked, and marks are committed once a second. Bounded queues join the stages, so that a slow
// stage slows down polling.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// The live heap is small, so that a collection at twice its size would come needlessly often.
const gcPercent = 400

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if err := run(); err != nil {
		log.Fatalf("fatal: %v", err)
	}
}

func run() error {
	settings, err := readSettings()
	if err != nil {
		return err
	}
	signalled, restore := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer restore()
	context.AfterFunc(signalled, restore) // a second signal ends the process at once

	w, err := openWorker(signalled, settings)
	if signalled.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	return w.run(signalled)
}
