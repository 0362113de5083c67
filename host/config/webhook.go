package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

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

// Wall returns how long an invocation of the bridge with an event of kind k may
// take: the time of its request, and a second.
func (w *Webhook) Wall(k event.Kind) time.Duration {
	h := w.Conversation
	switch k {
	case event.KindTranscript:
		h = w.Transcript
	case event.KindAudio:
		h = w.Audio
	}
	return h.Timeout + wallMargin
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
	for _, k := range []string{"module", "sha256", "grant", "state", "settings", "limits.wall"} {
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
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(settings); err != nil { // it is plain text and numbers
		panic("config: the settings of a webhook: " + err.Error())
	}
	a.Settings = bytes.TrimSpace(text.Bytes())
}

// reserved are the parameters that the bridge adds to a URL's query.
var reserved = []string{"uid", "session_id", "sample_rate"}

// checkHook says what is wrong with a webhook's URL.
func (a *App) checkHook(s string) (what, do string) {
	const example = "such as https://app.example.com/hook"
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "" {
		return "it is not a URL", "write one, " + example
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Sprintf("%s is no scheme of a webhook", quote(u.Scheme)), "write https://"
	case u.User != nil:
		return "it holds a user or password", `put them into a header "Authorization" { … } of the app's http block`
	case u.Fragment != "":
		return "it has a part behind #, which is never sent", "remove that"
	case u.Scheme == "http" && !a.inside(u.Hostname()):
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
	private := a.privateNetworks()
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

// privateNetworks returns the networks inside that the app may reach.
func (a *App) privateNetworks() []netip.Prefix { return nil }
