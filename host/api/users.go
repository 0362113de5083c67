package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/host/users"
)

const usersPath = "/v1/users"

// Users is what users have chosen about apps; *users.Users is one.
type Users interface {
	Chosen(uid string) map[string]bool // by the app's name: on or off
	Set(ctx context.Context, uid, app string, to users.State) error
}

var _ Users = (*users.Users)(nil)

// UserApps is what GET /v1/users/{uid}/apps answers, and what a change of them
// does.
type UserApps struct {
	UID    string      `json:"uid"`
	Apps   []UserApp   `json:"apps"`   // that are installed, in the configuration's order
	Absent []AbsentApp `json:"absent"` // those not installed now that the user has chosen about, by name
}

// UserApp is an installed app as one user has it, or has it not.
type UserApp struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	On      bool   `json:"on"`      // the user has it
	Why     string `json:"why"`     // "user", who has chosen so, or "config"
	Default bool   `json:"default"` // whether the configuration gives it to this user
}

// AbsentApp is a choice about an app that is not installed. It is kept, and in
// force when the app is installed.
type AbsentApp struct {
	Name string `json:"name"`
	On   bool   `json:"on"`
}

// The values of UserApp.Why.
const (
	whyUser   = "user"
	whyConfig = "config"
)

// userPath reads the path /v1/users/{uid}/apps, app is empty then, or
// /v1/users/{uid}/apps/{app}, as it was sent: with escapes, so that a uid may
// hold a slash.
func userPath(escaped string) (uid, app string, ok bool) {
	rest, ok := strings.CutPrefix(escaped, usersPath+"/")
	if !ok {
		return "", "", false
	}
	parts := strings.Split(rest, "/")
	if len(parts) < 2 || len(parts) > 3 || parts[1] != "apps" || parts[0] == "" || parts[len(parts)-1] == "" {
		return "", "", false
	}
	uid, err := url.PathUnescape(parts[0])
	if err != nil {
		return "", "", false
	}
	if len(parts) == 3 {
		if app, err = url.PathUnescape(parts[2]); err != nil {
			return "", "", false
		}
	}
	return uid, app, true
}

// user answers for what is under /v1/users/{uid}: the one place where it is
// known whose apps are asked for or changed.
func (h *handler) user(w http.ResponseWriter, r *http.Request, uid, app string) {
	if err := checkUID(uid); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_uid", err.Error())
		return
	}
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case app == "" && !read:
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, r, http.StatusMethodNotAllowed, "method_not_allowed", "this path answers GET only; name an app behind it to switch that on (PUT) or off (DELETE)")
		return
	case app != "" && r.Method != http.MethodPut && r.Method != http.MethodDelete:
		w.Header().Set("Allow", "PUT, DELETE")
		fail(w, r, http.StatusMethodNotAllowed, "method_not_allowed", "this path answers PUT and DELETE only; GET "+usersPath+"/{uid}/apps lists the user's apps")
		return
	}
	if _, err := query(r); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_query", err.Error())
		return
	}
	if read {
		respond(w, http.StatusOK, h.userApps(uid))
		return
	}
	if err := h.browser.Check(r); err != nil {
		fail(w, r, http.StatusForbidden, "bad_origin", "web pages of other origins may not change anything here")
		return
	}
	to, ok := wantedState(w, r)
	if !ok {
		return
	}
	if !h.mayChoose(uid, app, to) {
		fail(w, r, http.StatusNotFound, "unknown_app", fmt.Sprintf("there is no app %.128q; installed: %s", app, h.installed()))
		return
	}
	if err := h.o.Users.Set(r.Context(), uid, app, to); err != nil {
		h.failChoice(w, r, err)
		return
	}
	h.o.Logger.Info("a user's app is switched by request", "request", requestID(r), "uid", uid, "app", app, "state", to)
	respond(w, http.StatusOK, h.userApps(uid))
}

// mayChoose reports whether there is anything to choose about: the app is
// installed, or the user takes back what was chosen when it was.
func (h *handler) mayChoose(uid, app string, to users.State) bool {
	for _, a := range h.o.Apps.All() {
		if a.Name == app {
			return true
		}
	}
	_, chosen := h.o.Users.Chosen(uid)[app]
	return chosen && to == users.Default
}

func (h *handler) installed() string {
	var names []string
	for _, a := range h.o.Apps.All() {
		names = append(names, a.Name)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// userApps puts together which apps a user has, and why.
func (h *handler) userApps(uid string) UserApps {
	chosen := h.o.Users.Chosen(uid)
	body := UserApps{UID: uid, Apps: []UserApp{}, Absent: []AbsentApp{}}
	for _, a := range h.o.Apps.All() {
		u := UserApp{Name: a.Name, Version: a.Manifest.Version, Why: whyConfig, Default: a.Serves(uid)}
		u.On = u.Default
		if on, ok := chosen[a.Name]; ok {
			u.On, u.Why = on, whyUser
			delete(chosen, a.Name)
		}
		body.Apps = append(body.Apps, u)
	}
	for name, on := range chosen {
		body.Absent = append(body.Absent, AbsentApp{name, on})
	}
	slices.SortFunc(body.Absent, func(a, b AbsentApp) int { return strings.Compare(a.Name, b.Name) })
	return body
}

// wantedState reads what is to become of the app. When the request does not
// say, it answers and reports false.
func wantedState(w http.ResponseWriter, r *http.Request) (to users.State, ok bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			fail(w, r, http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the body is larger than %d bytes", maxBodyBytes))
			return "", false
		}
		fail(w, r, http.StatusBadRequest, "bad_body", "the body could not be read")
		return "", false
	}
	switch {
	case r.Method == http.MethodDelete && len(body) > 0:
		fail(w, r, http.StatusBadRequest, "bad_body", `DELETE takes no body; to go back to the default, PUT {"state":"default"}`)
		return "", false
	case r.Method == http.MethodDelete:
		return users.Off, true
	case len(body) == 0:
		return users.On, true
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		fail(w, r, http.StatusUnsupportedMediaType, "bad_content_type", "send JSON, with Content-Type: application/json, or no body to switch the app on")
		return "", false
	}
	if to, err = parseState(body); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_body", err.Error())
		return "", false
	}
	return to, true
}

// parseState reads {"state":"on"}, "off" or "default", and nothing else.
func parseState(body []byte) (users.State, error) {
	const example = `for example {"state":"on"}`
	d := json.NewDecoder(bytes.NewReader(body))
	var tokens []json.Token
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", errors.New("the body is not JSON; " + example)
		}
		if tokens = append(tokens, t); len(tokens) > 4 {
			return "", errors.New(`the body has more than a state; ` + example)
		}
	}
	if len(tokens) != 4 || tokens[0] != json.Delim('{') || tokens[3] != json.Delim('}') {
		return "", errors.New("the body is not a JSON object with a state; " + example)
	}
	if tokens[1] != "state" {
		return "", fmt.Errorf("unknown member %.64q; known: state", tokens[1])
	}
	s, _ := tokens[2].(string)
	switch to := users.State(s); to {
	case users.On, users.Off, users.Default:
		return to, nil
	}
	return "", errors.New(`state is none of "on", "off" and "default"`)
}

// failChoice answers for a choice that was not kept.
func (h *handler) failChoice(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, store.ErrTooManyChoices):
		fail(w, r, http.StatusConflict, "too_many_choices", fmt.Sprintf("the user has chosen about %d apps, as many as possible; put some back to the default", store.MaxChoices))
	case errors.Is(err, users.ErrFull):
		h.o.Logger.Error("a user's choice was not taken", "request", requestID(r), "error", err)
		fail(w, r, http.StatusInsufficientStorage, "too_many_users", "as many users as this host keeps in memory have switched apps; put some of them back to the default, or give the apps out by the configuration")
	case errors.Is(err, users.ErrBusy):
		w.Header().Set("Retry-After", "1")
		fail(w, r, http.StatusServiceUnavailable, "busy", "others are changing this user's apps; try again")
	case errors.Is(err, store.ErrUnavailable):
		h.o.Logger.Warn("a user's choice was not kept", "request", requestID(r), "error", err)
		w.Header().Set("Retry-After", "10")
		fail(w, r, http.StatusServiceUnavailable, "store_unavailable", "the store takes no writes now; nothing was changed, try again")
	default:
		h.failStore(w, r, err)
	}
}
