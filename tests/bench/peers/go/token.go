package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// In its last minute the API moves a token's end; before, asking changes nothing.
	refreshBefore = 30 * time.Second
	refreshPause  = time.Second
)

var errKeyRefused = errors.New("the key pair is refused")

type token struct {
	header               http.Header // of calls; shared, nobody changes it
	refreshFrom, expires time.Time
}

// tokens has the current token. One request for a token is under way at most.
type tokens struct {
	transport  http.RoundTripper
	url        string
	keyPair    []byte
	current    atomic.Pointer[token]
	refreshing atomic.Bool
	asking     sync.Mutex
}

// first gets the first token, or says why there is none.
func (t *tokens) first(ctx context.Context) error {
	for failures := 1; ; failures++ {
		err := t.ask(ctx)
		if err == nil || failures == attempts || ctx.Err() != nil || errors.Is(err, errKeyRefused) {
			return err
		}
		time.Sleep(pause(failures))
	}
}

// get is the token to call with. An old one is still good while a new one is on its way.
func (t *tokens) get() *token {
	token, now := t.current.Load(), time.Now()
	if now.After(token.expires) {
		return t.renewed(token)
	}
	if now.After(token.refreshFrom) && t.refreshing.CompareAndSwap(false, true) {
		go t.refresh(token)
	}
	return token
}

func (t *tokens) refresh(old *token) {
	defer t.refreshing.Store(false)
	t.asking.Lock()
	defer t.asking.Unlock()
	if t.current.Load() != old {
		return
	}
	if err := t.ask(context.Background()); err != nil {
		log.Printf("the token could not be refreshed: %v", err)
		time.Sleep(refreshPause)
	}
}

// renewed waits for a token other than the old one. That none is to be had is no fault of an event: no try is spent.
func (t *tokens) renewed(old *token) *token {
	t.asking.Lock()
	defer t.asking.Unlock()
	for failures := 1; t.current.Load() == old; failures++ {
		if err := t.ask(context.Background()); err != nil {
			log.Printf("no token: %v", err)
			time.Sleep(pause(failures))
		}
	}
	return t.current.Load()
}

func (t *tokens) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(t.keyPair))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := t.transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, bodyLimit))
	if err != nil {
		return err
	}
	return t.take(answer.StatusCode, body)
}

func (t *tokens) take(status int, body []byte) error {
	var answer struct {
		Code     *int
		Response struct {
			AccessToken string `json:"access_token"`
			Now         int64
			ExpiredAt   int64 `json:"expired_at"`
		}
	}
	switch {
	case status == http.StatusUnauthorized:
		return errKeyRefused
	case status != http.StatusOK:
		return fmt.Errorf("HTTP %d", status)
	case json.Unmarshal(body, &answer) != nil:
		return errors.New("the answer is not the JSON expected")
	case answer.Code == nil || *answer.Code != 0 || answer.Response.AccessToken == "":
		return errors.New("the answer has no token")
	}
	// Life is counted on this machine's monotonic clock: theirs may be wrong, or ours.
	life := max(time.Duration(answer.Response.ExpiredAt-answer.Response.Now)*time.Second, time.Second)
	now := time.Now()
	t.current.Store(&token{
		header: http.Header{
			"Authorization": {"Bearer " + answer.Response.AccessToken},
			"Accept":        {"application/json"},
		},
		refreshFrom: now.Add(life - min(refreshBefore, life/20)),
		expires:     now.Add(life),
	})
	return nil
}
