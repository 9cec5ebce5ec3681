package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

type settings struct {
	brokers                        []string
	topic, group                   string
	inFlight                       int
	url, key, secret               string
	caFile                         string
	mongoURI                       string
	mongoDatabase, mongoCollection string
}

func readSettings() (*settings, error) {
	var problems []error
	required := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			problems = append(problems, fmt.Errorf("%s is required", name))
		}
		return value
	}
	s := &settings{
		brokers:         strings.Split(required("IMPCERT_KAFKA_BROKERS"), ","),
		topic:           optional("IMPCERT_TOPIC", "certifications"),
		group:           optional("IMPCERT_GROUP", "impcert"),
		url:             strings.TrimRight(optional("IAMPORT_URL", "https://api.iamport.kr"), "/"),
		key:             required("IAMPORT_KEY"),
		secret:          required("IAMPORT_SECRET"),
		caFile:          os.Getenv("IMPCERT_CA_FILE"),
		mongoURI:        required("MONGODB_URI"),
		mongoDatabase:   optional("MONGODB_DATABASE", "impcert"),
		mongoCollection: optional("MONGODB_COLLECTION", "certifications"),
	}
	var err error
	if s.inFlight, err = strconv.Atoi(optional("IMPCERT_IN_FLIGHT", "1024")); err != nil || s.inFlight < 1 {
		problems = append(problems, errors.New("IMPCERT_IN_FLIGHT must be a number above 0"))
	}
	return s, errors.Join(problems...)
}

func optional(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
