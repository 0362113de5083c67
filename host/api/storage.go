package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/space"
)

// Values is what apps keep for users; *store.Store is one.
type Values interface {
	Values(ctx context.Context, app, uid string) (map[string][]byte, store.Revision, error)
	PutValues(ctx context.Context, app, uid string, values map[string][]byte, after store.Revision) (store.Revision, error)
}

var _ Values = (*store.Store)(nil)

// UserStorage is what GET /v1/users/{uid}/apps/{app}/storage answers, and what
// deleting it does. The values themselves are the user's and the app's.
type UserStorage struct {
	UID   string            `json:"uid"`
	App   string            `json:"app"`
	Bytes int64             `json:"bytes"` // of keys and values
	Keys  []event.StoredKey `json:"keys"`  // in the keys' order
}

// forgetTries is how often deleting is tried where the app writes meanwhile.
const forgetTries = 16

// storagePath reads the path /v1/users/{uid}/apps/{app}/storage as it was sent.
func storagePath(escaped string) (uid, app string, ok bool) {
	rest, ok := strings.CutSuffix(escaped, "/storage")
	if !ok {
		return "", "", false
	}
	uid, app, ok = userPath(rest)
	return uid, app, ok && app != ""
}

// storage answers for what an app keeps for a user: of one that is installed, and
// of one that was.
func (h *handler) storage(w http.ResponseWriter, r *http.Request, uid, app string) {
	if err := checkUID(uid); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_uid", err.Error())
		return
	}
	if !appName(app) {
		fail(w, r, http.StatusBadRequest, "bad_app", "an app's name begins with a lower-case letter and goes on with lower-case letters, digits, '-', '_' and '.', 64 at most")
		return
	}
	if _, err := query(r); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_query", err.Error())
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		kept, _, err := h.o.Values.Values(r.Context(), app, uid)
		if err != nil {
			h.failStore(w, r, err)
			return
		}
		v := space.Values(kept)
		respond(w, http.StatusOK, UserStorage{UID: uid, App: app, Bytes: v.Bytes(), Keys: v.List()})
	case http.MethodDelete:
		h.forget(w, r, uid, app)
	default:
		w.Header().Set("Allow", "GET, HEAD, DELETE")
		fail(w, r, http.StatusMethodNotAllowed, "method_not_allowed", "this path answers GET and DELETE only")
	}
}

// forget deletes what an app keeps for a user.
func (h *handler) forget(w http.ResponseWriter, r *http.Request, uid, app string) {
	if err := h.browser.Check(r); err != nil {
		fail(w, r, http.StatusForbidden, "bad_origin", "web pages of other origins may not change anything here")
		return
	}
	if !bodyless(r) {
		fail(w, r, http.StatusBadRequest, "bad_body", "DELETE takes no body: all that the app keeps for the user is deleted")
		return
	}
	for range forgetTries {
		kept, revision, err := h.o.Values.Values(r.Context(), app, uid)
		if err == nil && len(kept) > 0 {
			_, err = h.o.Values.PutValues(r.Context(), app, uid, nil, revision)
		}
		switch {
		case errors.Is(err, store.ErrFenced):
			continue
		case err != nil:
			h.failChoice(w, r, err)
			return
		}
		h.o.Logger.Info("what an app keeps for a user is deleted by request", "request", requestID(r), "uid", uid, "app", app, "keys", len(kept))
		respond(w, http.StatusOK, UserStorage{UID: uid, App: app, Keys: []event.StoredKey{}})
		return
	}
	w.Header().Set("Retry-After", "1")
	fail(w, r, http.StatusServiceUnavailable, "busy", "the app is writing for this user all the time; switch it off for the user, or try again")
}

// bodyless reports whether a request has no body.
func bodyless(r *http.Request) bool {
	n, err := io.ReadFull(r.Body, make([]byte, 1))
	return n == 0 && errors.Is(err, io.EOF)
}

// appName reports whether s can be the name of an app.
func appName(s string) bool {
	if s == "" || len(s) > 64 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_.", r) })
}
