package api

import (
	"errors"
	"net/http"

	"github.com/auricle-dev/auricle/host/replays"
	"github.com/auricle-dev/auricle/host/store"
)

const replaysPath = "/v1/replays"

type replaysBody struct {
	Replays []replays.Entry `json:"replays"` // newest first
}

// replays answers GET /v1/replays.
func (h *handler) replays(w http.ResponseWriter, r *http.Request) {
	values, err := query(r, "app", "limit")
	if err != nil {
		fail(w, r, http.StatusBadRequest, "bad_query", err.Error())
		return
	}
	limit, _, ok := page(w, r, values, store.MinPage, store.MaxPage)
	if !ok {
		return
	}
	if values.Has("app") && values.Get("app") == "" {
		fail(w, r, http.StatusBadRequest, "bad_app", "app is empty; leave it out for the recordings of all apps")
		return
	}
	entries, err := h.o.Replays.List(r.Context(), values.Get("app"), limit)
	if err != nil { // the client's end is the only one
		h.o.Logger.Debug("request given up by its client", "request", requestID(r), "path", r.URL.Path)
		return
	}
	respond(w, http.StatusOK, replaysBody{entries})
}

// replay answers GET /v1/replays/{invocation} with the file as it is.
func (h *handler) replay(w http.ResponseWriter, r *http.Request, invocation string) {
	if _, err := query(r); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_query", err.Error())
		return
	}
	file, err := h.o.Replays.Read(invocation)
	switch {
	case errors.Is(err, replays.ErrNotFound):
		fail(w, r, http.StatusNotFound, "not_found", "there is no recording of this invocation, or not any more; see /v1/replays")
	case err != nil:
		h.o.Logger.Error("request failed", "request", requestID(r), "path", r.URL.Path, "error", err)
		fail(w, r, http.StatusInternalServerError, "internal", "something is wrong in the host; its log says more under this request id")
	default:
		answer(w, http.StatusOK, file)
	}
}
