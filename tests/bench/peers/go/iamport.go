package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/valyala/fastjson"
)

const (
	bodyLimit = 1 << 20
	bodyStart = 4 << 10 // holds nearly every answer
)

// failure says why an event could not be verified or stored.
type failure struct {
	reason    string
	text      string
	temporary bool
	status    int           // of HTTP, 0: none
	wait      time.Duration // asked for by the service
}

func (f *failure) Error() string { return f.reason + ": " + f.text }

func temporary(status int, reason, format string, arguments ...any) *failure {
	return &failure{reason: reason, text: fmt.Sprintf(format, arguments...), temporary: true, status: status}
}

func final(reason, format string, arguments ...any) *failure {
	return &failure{reason: reason, text: fmt.Sprintf(format, arguments...)}
}

// iamport is the API.
type iamport struct {
	base       *url.URL // its path has no slash at the end
	transports []*transport
	tokens     *tokens
}

func newIamport(s *settings) (*iamport, error) {
	base, err := url.Parse(s.url)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("IAMPORT_URL is no URL: %q", s.url)
	}
	security, err := newSecurity(s.caFile)
	if err != nil {
		return nil, err
	}
	keyPair, err := json.Marshal(map[string]string{"imp_key": s.key, "imp_secret": s.secret})
	if err != nil {
		return nil, err
	}
	api := &iamport{base: base}
	for range (s.inFlight + callsPerTransport - 1) / callsPerTransport {
		api.transports = append(api.transports, newTransport(security))
	}
	api.tokens = &tokens{transport: api.transports[0], url: s.url + "/users/getToken", keyPair: keyPair}
	return api, nil
}

// caller is one goroutine's: it makes one call at a time, with memory that it uses again.
type caller struct {
	api       *iamport
	transport *transport
	body      []byte
	parser    fastjson.Parser
}

func (api *iamport) caller(number int) *caller {
	return &caller{api: api, transport: api.transports[number/callsPerTransport], body: make([]byte, bodyStart)}
}

// verify tries until there is a document or no use in trying.
func (c *caller) verify(event []byte) (*document, *failure) {
	impUID, ok := c.impUID(event)
	if !ok {
		return nil, final("invalid_event", "not JSON with a valid imp_uid")
	}
	for failures := 1; ; failures++ {
		document, failure := c.attempt(impUID)
		if failure == nil || !failure.temporary || failures == attempts {
			return document, failure
		}
		time.Sleep(max(pause(failures), failure.wait))
	}
}

func (c *caller) impUID(event []byte) (string, bool) {
	parsed, err := c.parser.ParseBytes(event)
	if err != nil {
		return "", false
	}
	impUID := parsed.GetStringBytes("imp_uid")
	return string(impUID), validImpUID(impUID)
}

// validImpUID: 1 to 64 of letters, digits, _ and -.
func validImpUID(impUID []byte) bool {
	for _, c := range impUID {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return len(impUID) > 0 && len(impUID) <= 64
}

// attempt is one call, and another one with a new token where the first is answered with 401.
func (c *caller) attempt(impUID string) (*document, *failure) {
	token := c.api.tokens.get()
	document, failure := c.call(impUID, token)
	if failure != nil && failure.status == http.StatusUnauthorized {
		return c.call(impUID, c.api.tokens.renewed(token))
	}
	return document, failure
}

func (c *caller) call(impUID string, token *token) (*document, *failure) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	// An imp_uid needs no escaping: see validImpUID.
	base := c.api.base
	request := (&http.Request{
		Method: http.MethodGet,
		URL:    &url.URL{Scheme: base.Scheme, Host: base.Host, Path: base.Path + "/certifications/" + impUID},
		Host:   base.Host,
		Header: token.header,
	}).WithContext(ctx)
	answer, err := c.transport.RoundTrip(request)
	if err != nil {
		return nil, temporary(0, "unavailable", "%v", err)
	}
	defer answer.Body.Close()
	size, err := c.read(answer.Body)
	switch {
	case err != nil:
		return nil, temporary(0, "unavailable", "%v", err)
	case answer.StatusCode != http.StatusOK:
		return nil, refused(answer)
	case size > bodyLimit:
		return nil, temporary(0, "bad_response", "the answer is too large")
	}
	return c.classify(c.body[:size], impUID)
}

// read reads a body to its end, so that the connection can be used again, or until it is larger than is taken.
func (c *caller) read(body io.Reader) (size int, err error) {
	for size <= bodyLimit {
		if size == len(c.body) {
			c.body = append(c.body, make([]byte, len(c.body))...)
		}
		got, err := body.Read(c.body[size:])
		size += got
		if err == io.EOF {
			return size, nil
		}
		if err != nil {
			return size, err
		}
	}
	return size, nil
}

// refused is what a status other than 200 means.
func refused(answer *http.Response) *failure {
	status := answer.StatusCode
	switch {
	case status == http.StatusNotFound:
		return final("not_found", "HTTP %d", status)
	case status == http.StatusTooManyRequests:
		limited := temporary(status, "rate_limited", "HTTP %d", status)
		if wait, err := time.ParseDuration(answer.Header.Get("Retry-After") + "s"); err == nil {
			limited.wait = min(wait, backoffMax)
		}
		return limited
	case status == http.StatusUnauthorized || status >= 500:
		return temporary(status, "unavailable", "HTTP %d", status)
	case status >= 400:
		return final("refused", "HTTP %d", status)
	}
	return temporary(status, "bad_response", "HTTP %d where 200 was expected", status)
}

// classify judges the body of a 200. Nothing of it may get into a failure: it holds personal data.
func (c *caller) classify(body []byte, impUID string) (*document, *failure) {
	answer, err := c.parser.ParseBytes(body)
	if err != nil {
		return nil, temporary(0, "bad_response", "the answer is not valid JSON")
	}
	code := answer.Get("code")
	if code == nil || code.Type() != fastjson.TypeNumber {
		return nil, temporary(0, "bad_response", "the answer has no numeric code")
	}
	if number, err := code.Int(); err != nil || number != 0 {
		return nil, final("refused", "code %s", code)
	}
	record := answer.Get("response")
	uniqueKey := record.GetStringBytes("unique_key")
	switch {
	case string(record.GetStringBytes("imp_uid")) != impUID:
		return nil, temporary(0, "bad_response", "the answer is for another imp_uid")
	case !record.GetBool("certified"):
		return nil, final("not_certified", "the certification is not finished")
	case len(uniqueKey) == 0:
		return nil, final("no_unique_key", "certified, but unique_key is absent or empty")
	}
	return newDocument(impUID, string(uniqueKey), text(record.Get("unique_in_site")), record.GetInt64("certified_at")), nil
}

// text is a copy, since the parser's memory is used again; nil for what is no string.
func text(value *fastjson.Value) *string {
	if value == nil || value.Type() != fastjson.TypeString {
		return nil
	}
	copied := string(value.GetStringBytes())
	return &copied
}
