package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/oklog/ulid/v2"
)

// requestIDKey is the context key of a request's id.
type requestIDKey struct{}

// withRequestID gives each request an id, in its context and in X-Request-Id.
// A request that has one already, from an outer handler, keeps it.
func withRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requestID(r) == "" {
			id := "r_" + strings.ToLower(ulid.Make().String())
			r = r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id))
			w.Header().Set("X-Request-Id", id)
		}
		next.ServeHTTP(w, r)
	})
}

// requestID returns the request's id; "" before withRequestID.
func requestID(r *http.Request) string {
	id, _ := r.Context().Value(requestIDKey{}).(string)
	return id
}

// failure is the one shape of everything that goes wrong.
type failure struct {
	Error failureBody `json:"error"`
}

type failureBody struct {
	Code      string `json:"code"`    // for programs, stable
	Message   string `json:"message"` // for people: what is wrong and what to do
	RequestID string `json:"request_id"`
}

// fail answers with an error.
func fail(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	respond(w, status, failure{failureBody{Code: code, Message: message, RequestID: requestID(r)}})
}

// respond answers with v as JSON. v must be encodable: it is made of this
// package's own types, or was decoded from JSON.
func respond(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false) // it is no page: see nosniff
	if err := e.Encode(v); err != nil {
		// An app's output that is no JSON any more would get here.
		status = http.StatusInternalServerError
		body.Reset()
		body.WriteString(`{"error":{"code":"internal","message":"the answer could not be encoded","request_id":` + strconv.Quote(w.Header().Get("X-Request-Id")) + "}}\n")
	}
	answer(w, status, body.Bytes())
}

// answer answers with JSON.
func answer(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone is told nothing
}
