package config

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/auricle-dev/auricle/sdk/event"
)

const everyone = "*"

// app decodes an app block.
func (d *decoder) app(b appBlock) App {
	at := b.Pos
	a := App{Name: b.Name, Users: []string{everyone}, State: event.StateFresh, Pos: AppPos{
		Block: at, Module: at, SHA256: at, Grant: at, Users: at, State: at, Settings: at,
	}}
	isWebhook := b.hasWebhook()
	for _, k := range keys {
		if k.app == nil {
			continue
		}
		label := fmt.Sprintf("app %s: %s", quote(b.Name), k.inApp())
		v, ok := b.Values[k.inApp()]
		if !ok {
			if k.Required && d.clean && !isWebhook {
				d.fault(at, fmt.Sprintf("app %s: %s is missing", quote(b.Name), k.inApp()), "add "+k.inApp()+" = "+k.example())
			}
			continue
		}
		if v.Form == formBroken {
			continue
		}
		switch k.Path {
		case appGrant:
			a.Pos.Grant = v.Pos
			d.grant(k, label, v, &a)
		case appUsers:
			a.Pos.Users = v.Pos
			d.users(k, label, v, &a)
		case appHTTPHosts:
			a.HTTP.Pos.Hosts = v.Pos
			a.HTTP.Pos.Each = d.hosts(k, label, v, &a.HTTP.Hosts)
		case appSettings:
			a.Pos.Settings = v.Pos
			d.settings(k, label, v, &a)
		case appModule:
			a.Pos.Module = v.Pos
			d.decode(k, label, v, k.app(&a))
		case appState:
			a.Pos.State = v.Pos
			d.decode(k, label, v, k.app(&a))
		case appSHA256:
			a.Pos.SHA256 = v.Pos
			d.decode(k, label, v, k.app(&a))
		default:
			d.decode(k, label, v, k.app(&a))
		}
	}
	d.appHeaders(b.Blocks, b.Name, &a)
	if isWebhook {
		d.webhook(b, &a)
	}
	return a
}

// list calls each with every item of a list of text, and reports a value or an
// item that is something else. An item that is there twice is reported too.
func (d *decoder) list(k Key, label string, v value, each func(item value)) {
	if v.Form != formList {
		d.wrongKind(k, label, v)
		return
	}
	var seen []string
	for _, item := range v.Items {
		switch {
		case item.Form != formString:
			d.fault(item.Pos, fmt.Sprintf("%s: expected text such as %q, got %s", label, sample(k), item.got()), "write the item in quotes")
		case slices.Contains(seen, item.Text):
			d.fault(item.Pos, fmt.Sprintf("%s: %s is there twice", label, item.got()), "remove one of the two")
		default:
			seen = append(seen, item.Text)
			each(item)
		}
	}
}

// sample returns an item that the list k might have.
func sample(k Key) string {
	switch {
	case len(k.Choices) > 0:
		return k.Choices[0]
	case k.Path == natsURLs:
		return "nats://10.0.0.1:4222"
	case k.Path == appKeys:
		return strings.Repeat("0", 8) + "…"
	case k.Kind == Hosts:
		return "api.example.com"
	case k.Kind == Ranges:
		return "10.0.0.0/8"
	}
	return everyone
}

func (d *decoder) grant(k Key, label string, v value, a *App) {
	d.list(k, label, v, func(item value) {
		if !slices.Contains(k.Choices, item.Text) {
			d.fault(item.Pos, fmt.Sprintf("%s: unknown capability %s", label, item.got()), orElse(meant(item.Text, k.Choices), "remove it")+" (known: "+strings.Join(k.Choices, ", ")+")")
			return
		}
		a.Grant = append(a.Grant, event.Capability(item.Text))
		a.Pos.Grants = append(a.Pos.Grants, item.Pos)
	})
}

func (d *decoder) users(k Key, label string, v value, a *App) {
	a.Users = nil
	var all *value
	d.list(k, label, v, func(item value) {
		if !event.ValidUID(item.Text) {
			d.fault(item.Pos, fmt.Sprintf("%s: %s is not a uid", label, item.got()),
				fmt.Sprintf("write 1 to %d printable ASCII characters without spaces, or \"*\" for everyone", event.MaxUIDBytes))
			return
		}
		if item.Text == everyone {
			all = &item
		}
		a.Users = append(a.Users, item.Text)
	})
	switch {
	case v.Form == formList && len(v.Items) == 0:
		d.warn(v.Pos, label+": the list is empty, so that the app works for nobody", `write ["*"] for everyone, or remove the app`)
	case all != nil && len(a.Users) > 1:
		d.warn(all.Pos, label+`: "*" is everyone, the other uids with it`, `write ["*"] alone, or remove the "*"`)
	}
}

func (d *decoder) settings(k Key, label string, v value, a *App) {
	if v.Form != formObject {
		d.wrongKind(k, label, v)
		return
	}
	var b bytes.Buffer
	v.appendJSON(&b)
	a.Settings = b.Bytes()
	a.Pos.Setting = map[string]Pos{}
	v.places("", a.Pos.Setting)
}
