package stream

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"github.com/oklog/ulid/v2"

	"github.com/auricle-dev/auricle/host/origins"
)

// readBufferBytes is a connection's buffer; larger reads go past it.
const readBufferBytes = 128

// refusal answers a request that does not become a stream.
type refusal struct {
	status     int
	code       string
	message    string
	retryAfter time.Duration // 0: not worth trying again as it is
}

// refuseRequest says why r, as it stands, does not become a stream; nil when
// it may.
func refuseRequest(r *http.Request, path string, pages origins.List) *refusal {
	if r.Method != http.MethodGet {
		return &refusal{status: http.StatusMethodNotAllowed, code: "method_not_allowed",
			message: fmt.Sprintf("a stream is opened by GET with a WebSocket upgrade, not by %+.64q", r.Method)}
	}
	if !websocket.IsWebSocketUpgrade(r) {
		return &refusal{status: http.StatusUpgradeRequired, code: "upgrade_required",
			message: "this is a WebSocket endpoint: connect with a WebSocket client, as to ws://" + r.Host + path}
	}
	if o := r.Header.Get("Origin"); o != "" && !pages.Allows(o) {
		do := "serve the page from localhost or 127.0.0.1, or have the operator list its origin in stream.origins"
		if len(pages) > 0 {
			do = "the operator can list it in stream.origins"
		}
		return &refusal{status: http.StatusForbidden, code: "origin_not_allowed",
			message: fmt.Sprintf("a page of origin %+.64q may not stream to this host; %s", o, do)}
	}
	return nil
}

// write sends the refusal as HTTP with a JSON body.
func (f *refusal) write(w http.ResponseWriter) {
	type body struct {
		Code      string `json:"code"`
		Message   string `json:"message"`
		RequestID string `json:"request_id"`
	}
	b, err := json.Marshal(struct {
		Error body `json:"error"`
	}{body{f.code, f.message, "r_" + strings.ToLower(ulid.MustNew(ulid.Now(), rand.Reader).String())}})
	if err != nil {
		panic(err) // three strings
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	switch f.status {
	case http.StatusUpgradeRequired:
		h.Set("Upgrade", "websocket")
		h.Set("Connection", "Upgrade")
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodGet)
	}
	if f.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(f.retryAfter.Seconds())))
	}
	w.WriteHeader(f.status)
	w.Write(append(b, '\n')) // the client may be gone
}
