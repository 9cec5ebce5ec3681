package main

import (
	"context"
	"fmt"
	"log"

	"github.com/twmb/franz-go/pkg/kgo"
)

// deadLetters writes to the dead letter queue; the client waits for all in-sync replicas.
type deadLetters struct {
	client *kgo.Client
	topic  string
}

// send calls `done` once Kafka has the event as it came, with the reason in its headers.
func (d *deadLetters) send(event *kgo.Record, why *failure, done func(error)) {
	origin := fmt.Sprintf("%s/%d/%d", event.Topic, event.Partition, event.Offset)
	log.Printf("dead letter: %q of %s: %v", event.Key, origin, why)
	headers := append([]kgo.RecordHeader(nil), event.Headers...)
	headers = append(headers,
		kgo.RecordHeader{Key: "impcert.reason", Value: []byte(why.reason)},
		kgo.RecordHeader{Key: "impcert.error", Value: []byte(why.text)},
		kgo.RecordHeader{Key: "impcert.origin", Value: []byte(origin)},
	)
	letter := &kgo.Record{Topic: d.topic, Key: event.Key, Value: event.Value, Headers: headers}
	d.client.Produce(context.Background(), letter, func(_ *kgo.Record, err error) { done(err) })
}
