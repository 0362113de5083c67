package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/auricle-dev/auricle/host/config"
)

const reloadPath = "/v1/reload"

// maxReload bounds a reload that a client asks for: compiling many modules
// beside apps that run takes its time.
const maxReload = 5 * time.Minute

// ReloadReport says what reading the configuration again has changed. Apps are
// named in the configuration's order. No list is nil.
type ReloadReport struct {
	Kept    []string `json:"kept"`    // apps that go on as they were
	Added   []string `json:"added"`   // apps
	Changed []string `json:"changed"` // apps that run another module, or under other terms
	Removed []string `json:"removed"` // apps
	Applied []string `json:"applied"` // keys outside app blocks
	// Restart has the keys that were changed and take hold at the next start.
	Restart []RestartKey `json:"restart"`
	// Warnings are what else was found in the configuration, a line each:
	// "config.hcl:14:3: warning: …".
	Warnings []string `json:"warnings"`
}

// RestartKey is a key of the configuration and where it stands.
type RestartKey struct {
	Key string `json:"key"` // "pool.workers"
	At  string `json:"at"`  // "config.hcl:14:3"
}

// refusedBody is a failure with what is wrong with the configuration.
type refusedBody struct {
	failure
	Problems []string `json:"problems"` // "config.hcl:14:3: what is wrong; what to do", a line each
}

// reload answers POST /v1/reload.
func (h *handler) reload(w http.ResponseWriter, r *http.Request) {
	if _, err := query(r); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_query", err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), maxReload)
	defer cancel()
	// The server's own time for a request is shorter, for reading too: what ends
	// that ends r's context. Where they can't be set there are none.
	conn, end := http.NewResponseController(w), time.Now().Add(maxReload+time.Minute)
	_ = conn.SetReadDeadline(end)
	_ = conn.SetWriteDeadline(end)
	report, err := h.o.Reload(ctx)
	var problems config.Problems
	switch {
	case err == nil:
		respond(w, http.StatusOK, report)
	case errors.As(err, &problems):
		body := refusedBody{failure: failure{failureBody{
			Code: "bad_configuration", Message: "the configuration has faults; nothing was changed", RequestID: requestID(r),
		}}}
		for _, p := range problems {
			body.Problems = append(body.Problems, p.String())
		}
		respond(w, http.StatusUnprocessableEntity, body)
	default:
		fail(w, r, http.StatusServiceUnavailable, "not_reloaded", err.Error()+"; nothing was changed")
	}
}
