// Package integrations answers what the servers of Omi's apps ask of their
// backend: /v2/integrations/{app}/…, as the public sources of
// github.com/BasedHardware/omi have it (backend/routers/integration.py), with
// its statuses and its shape of errors, {"detail": …}. An app here is one of the
// configuration's, which says by the SHA-256 of keys who may ask, and what.
package integrations

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// Path is what everything that this package answers is below.
const Path = "/v2/integrations/"

// maxBodyBytes bounds a request's body.
const maxBodyBytes = 1 << 20

// Store is what lasts; *store.Store is one.
type Store interface {
	Conversations(ctx context.Context, uid string, limit int, cursor string) (store.Page, error)
	AddMemories(ctx context.Context, uid string, ms []store.Memory) error
	Memories(ctx context.Context, uid string) ([]store.Memory, error)
}

// Sessions is where conversations and notifications go to;
// *conversation.Sessions is one.
type Sessions interface {
	Import(ctx context.Context, c event.Conversation) (id string, err error)
	Notify(uid string, o event.Output) (streams int)
}

// Apps lists what is installed; *apps.Set is one.
type Apps interface{ All() []*apps.App }

var (
	_ Store    = (*store.Store)(nil)
	_ Sessions = (*conversation.Sessions)(nil)
	_ Apps     = (*apps.Set)(nil)
)

// Options are what a Handler asks. All but Logger and Registerer are needed.
type Options struct {
	Store    Store
	Sessions Sessions
	Apps     Apps
	Has      func(uid, app string) bool // whether a user has an app

	Logger     hclog.Logger          // nil discards
	Registerer prometheus.Registerer // nil: metrics are not registered
}

// handler answers the calls of apps' servers.
type handler struct {
	o      Options
	limits *limits
	calls  *prometheus.CounterVec // by app, action and status
	routes map[string]map[string]route
}

// route is what a path and a method are for.
type route struct {
	action string // that the app must be allowed
	serve  func(c *call)
}

// call is one request on its way.
type call struct {
	w   http.ResponseWriter
	r   *http.Request
	q   url.Values
	app *apps.App
	uid string
}

// New returns the handler of everything below Path.
func New(o Options) http.Handler {
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	h := &handler{o: o, limits: newLimits(), calls: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "auricle_integration_calls_total",
		Help: "Calls of apps' own servers to /v2/integrations/, by app, what was asked and the answer's status.",
	}, []string{"app", "action", "status"})}
	if o.Registerer != nil {
		o.Registerer.MustRegister(h.calls)
	}
	h.routes = map[string]map[string]route{
		"notification":       {http.MethodPost: {config.ActionNotify, h.notify}},
		"user/conversations": {http.MethodPost: {config.ActionCreateConversation, h.createConversation}},
		"user/memories":      {http.MethodPost: {config.ActionCreateMemories, h.createMemories}},
		"conversations":      {http.MethodGet: {config.ActionReadConversations, h.readConversations}},
		"memories":           {http.MethodGet: {config.ActionReadMemories, h.readMemories}},
	}
	return h
}

// ServeHTTP checks who asks, for whom, and whether they may, and answers.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), Path)
	name, what, _ := strings.Cut(rest, "/")
	methods := h.routes[what]
	if !ok || name == "" || methods == nil {
		refuse(w, http.StatusNotFound, "Not Found")
		return
	}
	rt, ok := methods[r.Method]
	if !ok {
		var allowed []string
		for m := range methods {
			allowed = append(allowed, m)
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		refuse(w, http.StatusMethodNotAllowed, "Method Not Allowed")
		return
	}
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || key == "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="auricle"`)
		refuse(w, http.StatusUnauthorized, "Missing or invalid Authorization header. Must be 'Bearer API_KEY'")
		return
	}
	app := h.owner(name, key)
	if app == nil {
		h.calls.WithLabelValues("", rt.action, "403").Inc() // the name may be anything
		refuse(w, http.StatusForbidden, "Invalid API key")
		return
	}
	recorded := &recorder{ResponseWriter: w, status: http.StatusOK}
	defer func() { h.calls.WithLabelValues(app.Name, rt.action, strconv.Itoa(recorded.status)).Inc() }()
	c := &call{w: recorded, r: r, app: app}
	var err error
	if c.q, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		refuse(recorded, http.StatusUnprocessableEntity, "The query can't be read")
		return
	}
	if c.uid = c.q.Get("uid"); !event.ValidUID(c.uid) {
		invalid(recorded, "query", "uid", "a user's id is needed: 1 to 128 printable ASCII characters without spaces")
		return
	}
	switch {
	case !h.o.Has(c.uid, app.Name):
		refuse(recorded, http.StatusForbidden, "App is not enabled for this user")
	case !slices.Contains(app.Integration().Actions, rt.action):
		refuse(recorded, http.StatusForbidden, "App does not have the capability: the operator can allow "+rt.action+" in its integration block")
	default:
		if wait := h.limits.take(app.Name, rt.action, c.uid, time.Now()); wait > 0 {
			tooMany(recorded, wait, fmt.Sprintf("Rate limit exceeded for %s; try again in %d s", rt.action, seconds(wait)))
			return
		}
		rt.serve(c)
	}
}

// owner returns the app of that name if the key is one of its own; nil
// otherwise. How long it takes tells nothing of the keys.
func (h *handler) owner(name, key string) *apps.App {
	sum := sha256.Sum256([]byte(key))
	shown := []byte(hex.EncodeToString(sum[:]))
	for _, a := range h.o.Apps.All() {
		if a.Name != name {
			continue
		}
		found := 0
		for _, digest := range a.Integration().Keys {
			found |= subtle.ConstantTimeCompare(shown, []byte(digest))
		}
		if found == 1 {
			return a
		}
	}
	return nil
}

// recorder notes the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// respond answers with v as JSON.
func respond(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // of our own types
	}
	header(w)
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a client that has gone is told nothing
}

func header(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

// refuse answers as Omi's backend does when something is not to be had.
func refuse(w http.ResponseWriter, status int, detail string) {
	respond(w, status, map[string]string{"detail": detail})
}

// invalid answers as Omi's backend does for a value that is no good.
func invalid(w http.ResponseWriter, where, field, message string) {
	type detail struct {
		Loc  []string `json:"loc"`
		Msg  string   `json:"msg"`
		Type string   `json:"type"`
	}
	respond(w, http.StatusUnprocessableEntity, map[string][]detail{"detail": {{[]string{where, field}, message, "value_error"}}})
}

func tooMany(w http.ResponseWriter, wait time.Duration, detail string) {
	w.Header().Set("Retry-After", strconv.Itoa(seconds(wait)))
	refuse(w, http.StatusTooManyRequests, detail)
}

// seconds rounds up.
func seconds(d time.Duration) int { return max(1, int((d+time.Second-1)/time.Second)) }

// failStore answers for what the store could not do.
func (h *handler) failStore(c *call, err error) {
	switch {
	case c.r.Context().Err() != nil:
		return // nobody reads an answer
	case errors.Is(err, store.ErrTooManyMemories):
		refuse(c.w, http.StatusInsufficientStorage, fmt.Sprintf("The user has %d notes of memories, as many as possible", store.MaxMemoryNotes))
	case errors.Is(err, store.ErrTooLarge):
		refuse(c.w, http.StatusRequestEntityTooLarge, "It is too large to be kept")
	case errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrUnavailable), errors.Is(err, conversation.ErrClosed), errors.Is(err, context.DeadlineExceeded):
		h.o.Logger.Warn("the store did not answer a call of an app's server", "app", c.app.Name, "path", c.r.URL.Path, "error", err)
		c.w.Header().Set("Retry-After", "5")
		refuse(c.w, http.StatusServiceUnavailable, "The store does not answer now; try again")
	default:
		h.o.Logger.Error("a call of an app's server failed", "app", c.app.Name, "path", c.r.URL.Path, "error", err)
		refuse(c.w, http.StatusInternalServerError, "Something is wrong in the host; its log says more")
	}
}
