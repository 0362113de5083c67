package api

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/auricle-dev/auricle/host/store"
)

// Memories are what apps have noted about users; *store.Store is one.
type Memories interface {
	Memories(ctx context.Context, uid string) ([]store.Memory, error)
	ForgetMemories(ctx context.Context, uid string) (int, error)
}

var _ Memories = (*store.Store)(nil)

// UserMemories is what GET /v1/users/{uid}/memories answers, and what deleting
// them does.
type UserMemories struct {
	UID      string         `json:"uid"`
	Memories []store.Memory `json:"memories"` // newest first; never nil
}

// memoriesPath reads the path /v1/users/{uid}/memories as it was sent.
func memoriesPath(escaped string) (uid string, ok bool) {
	rest, ok := strings.CutPrefix(escaped, usersPath+"/")
	if !ok {
		return "", false
	}
	if rest, ok = strings.CutSuffix(rest, "/memories"); !ok || rest == "" || strings.Contains(rest, "/") {
		return "", false
	}
	uid, err := url.PathUnescape(rest)
	return uid, err == nil
}

// memories answers for what apps have noted about a user.
func (h *handler) memories(w http.ResponseWriter, r *http.Request, uid string) {
	if err := checkUID(uid); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_uid", err.Error())
		return
	}
	if _, err := query(r); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_query", err.Error())
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		all, err := h.o.Memories.Memories(r.Context(), uid)
		if err != nil {
			h.failStore(w, r, err)
			return
		}
		respond(w, http.StatusOK, UserMemories{uid, all})
	case http.MethodDelete:
		if err := h.browser.Check(r); err != nil {
			fail(w, r, http.StatusForbidden, "bad_origin", "web pages of other origins may not change anything here")
			return
		}
		if !bodyless(r) {
			fail(w, r, http.StatusBadRequest, "bad_body", "DELETE takes no body: all that is noted about the user is deleted")
			return
		}
		n, err := h.o.Memories.ForgetMemories(r.Context(), uid)
		if err != nil {
			h.failChoice(w, r, err)
			return
		}
		h.o.Logger.Info("what apps have noted about a user is deleted by request", "request", requestID(r), "uid", uid, "memories", n)
		respond(w, http.StatusOK, UserMemories{uid, []store.Memory{}})
	default:
		w.Header().Set("Allow", "GET, HEAD, DELETE")
		fail(w, r, http.StatusMethodNotAllowed, "method_not_allowed", "this path answers GET and DELETE only")
	}
}
