package main

import (
	"math/rand/v2"
	"time"
)

const (
	attempts   = 4
	backoff    = 200 * time.Millisecond
	backoffMax = 10 * time.Second
)

// pause is how long to wait after that many failures: exponential with full jitter.
func pause(failures int) time.Duration {
	return rand.N(min(backoff<<min(failures-1, 10), backoffMax))
}
