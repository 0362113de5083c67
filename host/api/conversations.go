package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// conversations answers GET /v1/conversations.
func (h *handler) conversations(w http.ResponseWriter, r *http.Request) {
	values, err := query(r, "uid", "limit", "cursor")
	if err != nil {
		fail(w, r, http.StatusBadRequest, "bad_query", err.Error())
		return
	}
	uid := values.Get("uid")
	if id := identity(r); uid == "" && !values.Has("uid") {
		uid = id.UID
	} else if !id.ActsFor(uid) {
		h.refuse(w, r, &auth.Refusal{Code: auth.CodeUser, Message: "these credentials are another user's; leave uid out for their own"})
		return
	}
	if err := checkUID(uid); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_uid", err.Error())
		return
	}
	limit, cursor, ok := page(w, r, values, store.MinPage, store.MaxPage)
	if !ok {
		return
	}
	found, err := h.o.Store.Conversations(r.Context(), uid, limit, cursor)
	if err != nil {
		h.failStore(w, r, err)
		return
	}
	respond(w, http.StatusOK, found)
}

// conversation answers GET /v1/conversations/{id}.
func (h *handler) conversation(w http.ResponseWriter, r *http.Request, id string) {
	if _, err := query(r); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_query", err.Error())
		return
	}
	record, err := h.o.Store.Conversation(r.Context(), id)
	if err == nil && !identity(r).ActsFor(record.UID) {
		err = store.ErrNotFound // whether another user has it is not told
	}
	if err != nil {
		h.failStore(w, r, err)
		return
	}
	respond(w, http.StatusOK, record)
}

// failStore answers for an error of the store's. What the client can't mend
// goes to the log with the request's id, not to the client.
func (h *handler) failStore(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, jobs.ErrNotFound):
		fail(w, r, http.StatusNotFound, "not_found", "this app has no job for this conversation: its work is done, or was never due")
	case errors.Is(err, store.ErrNotFound):
		fail(w, r, http.StatusNotFound, "not_found", "there is no completed conversation with this id")
	case errors.Is(err, store.ErrBadCursor):
		fail(w, r, http.StatusBadRequest, "bad_cursor", "this cursor was not given out for this list; start again without one")
	case r.Context().Err() != nil:
		// The client has gone; nobody reads an answer.
		h.o.Logger.Debug("request given up by its client", "request", requestID(r), "path", r.URL.Path)
	case errors.Is(err, store.ErrClosed), errors.Is(err, context.DeadlineExceeded):
		h.o.Logger.Warn("the store did not answer", "request", requestID(r), "path", r.URL.Path, "error", err)
		w.Header().Set("Retry-After", "1")
		fail(w, r, http.StatusServiceUnavailable, "store_unavailable", "the store does not answer now; try again")
	default:
		h.o.Logger.Error("request failed", "request", requestID(r), "path", r.URL.Path, "error", err)
		fail(w, r, http.StatusInternalServerError, "internal", "something is wrong in the host; its log says more under this request id")
	}
}

// checkUID says what is wrong with a uid: 1 to 128 printable ASCII characters
// without spaces.
func checkUID(uid string) error {
	if uid == "" {
		return errors.New("uid is missing; say whose conversations to list: ?uid=")
	}
	if len(uid) > event.MaxUIDBytes {
		return fmt.Errorf("uid is %d bytes long; at most %d", len(uid), event.MaxUIDBytes)
	}
	if !event.ValidUID(uid) {
		return errors.New("uid may hold printable ASCII without spaces only")
	}
	return nil
}
