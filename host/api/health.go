package api

import "net/http"

type healthBody struct {
	Status  string `json:"status"` // "ok"
	Version string `json:"version,omitempty"`
}

// health answers GET /healthz.
func (h *handler) health(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, healthBody{Status: "ok", Version: h.o.Version})
}

type readyBody struct {
	Ready   bool     `json:"ready"`
	Reasons []string `json:"reasons,omitempty"` // why not
}

// ready answers GET /readyz.
func (h *handler) ready(w http.ResponseWriter, _ *http.Request) {
	var err error
	if h.o.Ready != nil {
		err = h.o.Ready()
	}
	if err == nil {
		respond(w, http.StatusOK, readyBody{Ready: true})
		return
	}
	w.Header().Set("Retry-After", "1")
	respond(w, http.StatusServiceUnavailable, readyBody{Reasons: reasons(err)})
}

// reasons returns the texts of the errors that errors.Join joined into err,
// or err's own.
func reasons(err error) []string {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []string{err.Error()}
	}
	var texts []string
	for _, e := range joined.Unwrap() {
		texts = append(texts, reasons(e)...)
	}
	return texts
}
