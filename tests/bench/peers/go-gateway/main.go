// The gateway as one would write it in Go: net/http before franz-go. 202 only after acks=all.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const bodyMost = 16 << 10

var impUID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func main() {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(os.Getenv("IMPCERT_KAFKA_BROKERS"), ",")...),
		kgo.DefaultProduceTopic(os.Getenv("IMPCERT_TOPIC")),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.ProducerLinger(time.Millisecond),
		kgo.MaxBufferedRecords(10_000),
	)
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("POST /certifications", func(w http.ResponseWriter, r *http.Request) { publish(client, w, r) })
	log.Fatal(http.ListenAndServe(os.Getenv("IMPCERT_HTTP_LISTEN"), nil))
}

func publish(client *kgo.Client, w http.ResponseWriter, r *http.Request) {
	var event struct {
		ImpUID string `json:"imp_uid"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMost)).Decode(&event); err != nil || !impUID.MatchString(event.ImpUID) {
		http.Error(w, "imp_uid is missing or not valid", http.StatusBadRequest)
		return
	}
	value := fmt.Appendf(nil, `{"imp_uid": "%s"}`, event.ImpUID)
	if err := client.ProduceSync(r.Context(), &kgo.Record{Key: []byte(event.ImpUID), Value: value}).FirstErr(); err != nil {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "not queued", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintf(w, `{"imp_uid": "%s", "status": "queued"}`, event.ImpUID)
}
