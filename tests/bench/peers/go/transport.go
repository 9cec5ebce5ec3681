package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	callTimeout    = 10 * time.Second
	connectTimeout = 3 * time.Second
	// The least that an HTTP/2 server should take at once on one connection. A transport that never asks for more does
	// not run into the server's limit, upon which net/http would dial for each call that waits.
	callsPerTransport = 100
)

// transport is a pool of connections: with HTTP/1.1 one for each call under way, with HTTP/2 one that all calls share.
type transport struct {
	*http.Transport
	once sync.Once
}

func newTransport(security *tls.Config) *transport {
	return &transport{Transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSClientConfig:     security.Clone(),
		TLSHandshakeTimeout: connectTimeout,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: callsPerTransport,
		MaxConnsPerHost:     callsPerTransport, // none is dialled that no call needs
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // answers of a kilobyte
	}}
}

// RoundTrip lets the first call go alone: only then is it known whether the others can share its connection.
func (t *transport) RoundTrip(request *http.Request) (answer *http.Response, err error) {
	first := false
	t.once.Do(func() {
		first = true
		answer, err = t.Transport.RoundTrip(request)
	})
	if first {
		return answer, err
	}
	return t.Transport.RoundTrip(request)
}

func newSecurity(caFile string) (*tls.Config, error) {
	security := &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(0)}
	if caFile == "" {
		return security, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("IMPCERT_CA_FILE: %w", err)
	}
	security.RootCAs = x509.NewCertPool()
	if !security.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("IMPCERT_CA_FILE: there is no certificate in %s", caFile)
	}
	return security, nil
}
