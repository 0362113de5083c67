package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/host/reach"
	"github.com/auricle-dev/auricle/sdk/event"
)

// Webhook is an app's webhook block: its events are posted to a webhook app
// written for Omi, by the bridge that comes with the host. One of the hooks has
// a URL at least.
type Webhook struct {
	Conversation Hook          // gets completed conversations
	Transcript   Hook          // gets what is said, as it is said
	Audio        Hook          // gets PCM, as it is heard
	AudioEvery   time.Duration // the length of a piece of it
}

// Hook is where events of one kind are posted to.
type Hook struct {
	URL     string        // empty: they are not asked for
	Timeout time.Duration // of one request
}

// Kinds returns the hooks that have a URL, by the kind of event that each gets.
func (w *Webhook) Kinds() map[event.Kind]Hook {
	hooks := map[event.Kind]Hook{event.KindConversation: w.Conversation, event.KindTranscript: w.Transcript, event.KindAudio: w.Audio}
	for k, h := range hooks {
		if h.URL == "" {
			delete(hooks, k)
		}
	}
	return hooks
}

// Place returns a hook's URL as it may be shown: without its query, which often
// holds a secret.
func (h Hook) Place() string {
	u, err := url.Parse(h.URL)
	if err != nil {
		return "" // decoding has refused it
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
	return u.String()
}

// wallMargin is what an invocation of the bridge may take besides its request.
const wallMargin = time.Second

// hook returns a's webhook, made when its block's first key is decoded.
func (a *App) hook() *Webhook {
	if a.Webhook == nil {
		a.Webhook = &Webhook{AudioEvery: 4 * time.Second}
		a.Webhook.Conversation.Timeout = 10 * time.Second
		a.Webhook.Transcript.Timeout = 5 * time.Second
		a.Webhook.Audio.Timeout = 5 * time.Second
	}
	return a.Webhook
}

// hasWebhook reports whether b has a webhook block with something in it.
func (b appBlock) hasWebhook() bool {
	for name := range b.Values {
		if strings.HasPrefix(name, "webhook.") {
			return true
		}
	}
	return false
}

// webhook checks the webhook block of b, from which the rest of a follows.
func (d *decoder) webhook(b appBlock, a *App) {
	label := fmt.Sprintf("app %s: ", quote(b.Name))
	for _, k := range []string{"module", "sha256", "grant", "state", "settings", "limits.wall", "limits.conversation_wall", "http.hosts", "http.timeout"} {
		if v, ok := b.Values[k]; ok {
			d.fault(v.Pos, fmt.Sprintf("%s%s and a webhook block are there both", label, k), orElse(map[string]string{
				"module": "keep one of the two: an app is a module, or a webhook",
				"grant":  "remove it: a webhook gets what it has a URL for",
			}[k], "remove it: it follows from the webhook block"))
		}
	}
	w := a.hook()
	a.Module, a.SHA256, a.Grant, a.State, a.Settings = "", "", nil, event.StateFresh, nil
	settings := map[string]any{"app": a.Name}
	a.Pos.Setting = map[string]Pos{}
	a.Pos.Grants = nil
	grant := func(c event.Capability, at Pos) {
		a.Grant, a.Pos.Grants = append(a.Grant, c), append(a.Pos.Grants, at)
	}
	first := Pos{}
	for _, h := range []struct {
		name string
		cap  event.Capability
		hook *Hook
	}{
		{"conversation", event.CapConversation, &w.Conversation}, {"transcript", event.CapTranscript, &w.Transcript}, {"audio", event.CapAudio, &w.Audio},
	} {
		v, ok := b.Values["webhook."+h.name]
		if !ok {
			continue
		}
		if first == (Pos{}) || v.Pos.Line < first.Line {
			first = v.Pos
		}
		if what, do := a.checkHook(h.hook.URL); what != "" && v.Form != formBroken && h.hook.URL != "" {
			d.fault(v.Pos, fmt.Sprintf("%swebhook.%s: %s", label, h.name, what), do)
			h.hook.URL = ""
		}
		if h.hook.URL == "" {
			if v.Form == formString && v.Text == "" {
				d.fault(v.Pos, fmt.Sprintf("%swebhook.%s is empty", label, h.name), "write a URL, or remove the key")
			}
			continue
		}
		grant(h.cap, v.Pos)
		settings[h.name] = map[string]any{"url": h.hook.URL, "timeout_ms": h.hook.Timeout.Milliseconds()}
		a.Pos.Setting["/"+h.name] = v.Pos
	}
	if first == (Pos{}) {
		d.fault(a.Pos.Block, label+"its webhook block has no URL, so that nothing would be posted", "name one as conversation, transcript or audio")
		return
	}
	a.Pos.Module, a.Pos.Grant, a.Pos.Settings = first, first, first
	grant(event.CapHTTP, first)
	if w.Transcript.URL != "" {
		grant(event.CapNotify, first)
	}
	var text bytes.Buffer
	a.derive()
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(settings); err != nil { // it is plain text and numbers
		panic("config: the settings of a webhook: " + err.Error())
	}
	a.Settings = bytes.TrimSpace(text.Bytes())
}

// derive sets how a may call its webhook, and for how long. Where the operator
// sets no other, it is called as often as its share of the pool allows.
func (a *App) derive() {
	w := a.Webhook
	a.Limits.ConversationWall = w.Conversation.Timeout + wallMargin
	a.Limits.Wall = max(w.Transcript.Timeout, w.Audio.Timeout) + wallMargin
	a.HTTP.Timeout = max(w.Conversation.Timeout, w.Transcript.Timeout, w.Audio.Timeout)
	a.HTTP.Concurrency = cmp.Or(a.HTTP.Concurrency, mostConcurrency)
	a.HTTP.RatePerMinute = cmp.Or(a.HTTP.RatePerMinute, mostPerMinute)
	a.HTTP.Hosts = []reach.Host{}
	for _, hook := range []Hook{w.Conversation, w.Transcript, w.Audio} {
		if hook.URL == "" {
			continue
		}
		if _, h, err := reach.ParseURL(hook.URL); err == nil && !slices.Contains(a.HTTP.Hosts, h) { // checkHook has read it
			a.HTTP.Hosts = append(a.HTTP.Hosts, h)
		}
	}
}

// reserved are the parameters that the bridge adds to a URL's query.
var reserved = []string{"uid", "session_id", "sample_rate"}

// checkHook says what is wrong with a webhook's URL.
func (a *App) checkHook(s string) (what, do string) {
	u, _, err := reach.ParseURL(s)
	if err != nil {
		if e, ok := errors.AsType[*reach.Error](err); ok {
			return e.What, e.Do
		}
		return err.Error(), "correct it"
	}
	if u.Scheme == "http" && !a.inside(u.Hostname()) {
		return "it is http://, which anyone on the way can read and change", "write https://, or, for an address inside, name its network in http { private = [\"10.0.0.0/8\"] }"
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "its query can't be read", "escape what is no letter or digit with %"
	}
	for _, name := range reserved {
		if _, ok := query[name]; ok {
			return fmt.Sprintf("its query has %s, which is added to it", name), "remove that"
		}
	}
	return "", ""
}

// inside reports whether a host without TLS is one inside: an address that the
// app may reach though it is not public, or, where it may reach some, a name
// that only an inside network has.
func (a *App) inside(host string) bool {
	private := a.HTTP.Private
	if ip, err := netip.ParseAddr(host); err == nil {
		return slices.ContainsFunc(private, func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) })
	}
	if len(private) == 0 {
		return false
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if !strings.Contains(host, ".") {
		return true
	}
	return slices.ContainsFunc([]string{".localhost", ".local", ".internal", ".home.arpa"}, func(end string) bool { return strings.HasSuffix(host, end) })
}
