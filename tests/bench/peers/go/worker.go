package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"time"
)

const drainTimeout = 25 * time.Second

// worker joins the stages: events, verification, store.
type worker struct {
	events   *consumer
	api      *iamport
	store    *store
	letters  *deadLetters
	inFlight int
	failed   chan error // the first one ends the process
}

func openWorker(ctx context.Context, s *settings) (*worker, error) {
	w := &worker{inFlight: s.inFlight, failed: make(chan error, 1)}
	var err error
	if w.api, err = newIamport(s); err != nil {
		return nil, err
	}
	// Proves the key pair before anything is consumed.
	if err = w.api.tokens.first(ctx); err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	if w.store, err = openStore(ctx, s); err != nil {
		return nil, fmt.Errorf("MongoDB: %w", err)
	}
	if w.events, err = newConsumer(s); err != nil {
		return nil, fmt.Errorf("Kafka: %w", err)
	}
	w.letters = &deadLetters{client: w.events.client, topic: s.topic + ".dlq"}
	return w, nil
}

// run works until the context ends or something fails for good, then finishes what is under way.
func (w *worker) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	w.store.start(w.events.finish, w.reject)
	var pool sync.WaitGroup
	for number := range w.inFlight {
		pool.Go(func() { w.verifyAll(ctx, w.api.caller(number)) })
	}
	var failure error
	failing := make(chan struct{})
	go func() {
		defer close(failing)
		select {
		case failure = <-w.failed:
			stop()
		case <-ctx.Done():
		}
	}()

	w.events.poll(ctx)
	<-failing
	w.drain(&pool)
	return errors.Join(failure, w.events.close())
}

// drain lets the stages run dry, one after the other.
func (w *worker) drain(pool *sync.WaitGroup) {
	dry := make(chan struct{})
	go func() {
		defer close(dry)
		pool.Wait()
		w.store.close()
		if err := w.letters.client.Flush(context.Background()); err != nil {
			log.Printf("dead letters: %v", err)
		}
	}()
	select {
	case <-dry:
	case <-time.After(drainTimeout):
		log.Print("the time to drain is over; what is left will be delivered again")
	}
}

func (w *worker) verifyAll(ctx context.Context, caller *caller) {
	for job := range w.events.work {
		if ctx.Err() == nil && job.partition.begin() {
			w.verify(job, caller)
		}
	}
}

func (w *worker) verify(job *job, caller *caller) {
	document, err := caller.verify(job.record.Value)
	if err != nil {
		w.reject(job, err)
		return
	}
	job.document = document
	w.store.add(job)
}

// reject sends an event to the dead letter queue; its offset counts as done once Kafka has it there.
func (w *worker) reject(job *job, why *failure) {
	w.letters.send(job.record, why, func(err error) {
		if err == nil {
			w.events.finish(job)
			return
		}
		job.partition.giveUp()
		w.fail(fmt.Errorf("dead letter queue: %w", err))
	})
}

// fail ends the process with exit code 1, after what can still be finished.
func (w *worker) fail(err error) {
	select {
	case w.failed <- err:
	default:
	}
}
