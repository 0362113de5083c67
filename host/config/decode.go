package config

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/auricle-dev/auricle/host/reach"
	"github.com/knadh/koanf/v2"
)

// decoder turns merged values into a Config and notes what is wrong with them.
type decoder struct {
	dir      string // relative paths of the file start here
	clean    bool   // the file was read wholly, so that what is missing really is
	problems Problems
}

// config decodes what koanf merged.
func (d *decoder) config(ko *koanf.Koanf) Config {
	c := Config{Pos: map[string]Pos{}}
	for _, k := range keys {
		if k.host == nil {
			continue
		}
		v := k.defaultValue()
		d.decode(k, k.Path, v, k.host(&c)) // stays where what replaces it is no good
		if merged, ok := ko.Get(k.Path).(value); ok && merged.Origin != fromDefault {
			v = merged
			if v.Form != formBroken {
				d.decode(k, k.Path, v, k.host(&c))
			}
		}
		c.Pos[k.Path] = v.Pos
	}
	d.authTokens(ko, &c)
	d.across(&c)
	blocks, _ := ko.Get(appPath).([]appBlock)
	first := map[string]Pos{}
	for _, b := range blocks {
		a := d.app(b)
		if at, ok := first[b.Name]; ok {
			d.fault(b.Pos, fmt.Sprintf("app %s is given twice", quote(b.Name)),
				fmt.Sprintf("give this one another name (the other is on line %d); two apps may share a module", at.Line))
			continue
		}
		first[b.Name] = b.Pos
		if a.Module != "" || a.Webhook != nil && len(a.Webhook.Kinds()) > 0 { // otherwise it is at fault, and there is nothing to load
			c.Apps = append(c.Apps, a)
		}
	}
	return c
}

// across checks values against each other.
func (d *decoder) across(c *Config) {
	if c.Stream.PongTimeout <= c.Stream.PingInterval {
		at := c.Pos["stream.pong_timeout"]
		if at.Line == 0 && c.Pos["stream.ping_interval"].Line != 0 {
			at = c.Pos["stream.ping_interval"]
		}
		d.fault(at, fmt.Sprintf("stream.pong_timeout (%s) is not longer than stream.ping_interval (%s), so that every stream would be closed",
			formatDuration(c.Stream.PongTimeout), formatDuration(c.Stream.PingInterval)),
			"make the timeout twice the interval or more")
	}
	d.listeners(c)
	d.tls(c)
	if n := c.Store.NATS; len(n.URLs) == 0 {
		for path, set := range map[string]string{"store.nats.credentials": n.Credentials, "store.nats.ca": n.CA} {
			if set != "" {
				d.warn(c.Pos[path], path+" has no effect without "+natsURLs, "name the cluster's servers, or remove it")
			}
		}
	}
	d.auth(c)
	if c.Pool.PerApp > c.Pool.Workers {
		d.warn(c.Pos["pool.per_app"], fmt.Sprintf("pool.per_app (%d) is above pool.workers (%d), so that one app may take the whole pool", c.Pool.PerApp, c.Pool.Workers),
			"set it below workers, or to 0 for a quarter of them")
	}
}

// decode puts v into dst, which points to a field of the type that k's kind
// has in Config. label names the key in problems.
func (d *decoder) decode(k Key, label string, v value, dst any) bool {
	untyped := v.Form == formUntyped
	text := v.Form == formString || untyped
	switch k.Kind {
	case Address, Path, Choice, Text, Digest:
		if !text {
			return d.wrongKind(k, label, v)
		}
		s, ok := d.word(k, label, v)
		if ok {
			*dst.(*string) = s
		}
		return ok
	case Bool:
		if v.Form != formBool && !untyped || v.Text != "true" && v.Text != "false" {
			return d.wrongKind(k, label, v)
		}
		*dst.(*bool) = v.Text == "true"
		return true
	case Whole:
		if v.Form != formNumber && !untyped {
			return d.wrongKind(k, label, v)
		}
		n, ok := whole(v.Text)
		if !ok {
			return d.wrongKind(k, label, v)
		}
		return d.bounded(k, label, v, n, dst)
	case Duration:
		if !text {
			return d.wrongKind(k, label, v)
		}
		t, err := time.ParseDuration(v.Text)
		if err != nil {
			return d.wrongKind(k, label, v)
		}
		return d.bounded(k, label, v, int64(t), dst)
	case Size:
		if v.Form != formNumber && !text {
			return d.wrongKind(k, label, v)
		}
		n, wrong := size(v.Text)
		if wrong != "" {
			d.fault(v.Pos, fmt.Sprintf("%s: expected a size such as %s, got %s: %s", label, k.example(), v.got(), wrong),
				"write a whole number of B, KiB, MiB or GiB")
			return false
		}
		return d.bounded(k, label, v, n, dst)
	case Hosts:
		d.hosts(k, label, v, dst.(*[]reach.Host))
		return true
	case Ranges:
		d.prefixes(k, label, v, dst.(*[]netip.Prefix))
		return true
	case Hidden:
		return d.secret(k, label, v, dst.(*Secret))
	case List:
		items := dst.(*[]string)
		*items = nil
		if untyped {
			v = v.split()
		}
		d.list(k, label, v, func(item value) {
			if check := itemChecks[k.Path]; check != nil {
				if what, do := check(item.Text); what != "" {
					d.fault(item.Pos, label+": "+what, do)
					return
				}
			}
			if len(k.Choices) > 0 && !slices.Contains(k.Choices, item.Text) {
				d.fault(item.Pos, fmt.Sprintf("%s: expected some of %s, got %s", label, strings.Join(k.Choices, ", "), item.got()), orElse(meant(item.Text, k.Choices), "use those only"))
				return
			}
			*items = append(*items, item.Text)
		})
		return true
	}
	panic("config: key " + k.Path + " has no kind") // a mistake in the table
}

// itemChecks say, for lists whose items are more than text, what is wrong with
// one and what to do.
var itemChecks = map[string]func(string) (what, do string){
	natsURLs:      checkNATS,
	streamOrigins: checkOrigin,
	acmeDomains:   checkDomain,
}

// word checks text that is more than text.
func (d *decoder) word(k Key, label string, v value) (string, bool) {
	s := v.Text
	switch k.Kind {
	case Address:
		if what, do := checkListen(s); what != "" {
			d.fault(v.Pos, label+": "+what, do)
			return "", false
		}
	case Path:
		if s == "" && k.Default == `""` {
			return "", true
		}
		if strings.TrimSpace(s) == "" || strings.ContainsRune(s, 0) {
			d.fault(v.Pos, fmt.Sprintf("%s: %s is not a path", label, v.got()), "write one, such as "+k.example())
			return "", false
		}
		if (v.Origin == fromDefault || v.Origin == fromFile) && !filepath.IsAbs(s) {
			s = filepath.Join(d.dir, s)
		}
		s = filepath.Clean(s)
	case Text:
		if len(s) > maxTextBytes || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
			d.fault(v.Pos, fmt.Sprintf("%s: %s holds a space, or what is not printable ASCII, or is longer than %d bytes", label, v.got(), maxTextBytes), "write it without")
			return "", false
		}
	case Choice:
		if !slices.Contains(k.Choices, s) {
			d.fault(v.Pos, fmt.Sprintf("%s: expected one of %s, got %s", label, strings.Join(k.Choices, ", "), v.got()), orElse(meant(s, k.Choices), "use one of these"))
			return "", false
		}
	case Digest:
		s = strings.ToLower(s)
		wrong := ""
		if n := utf8.RuneCountInString(s); n != 64 {
			wrong = fmt.Sprintf("%s, which has %d characters", v.got(), n)
		} else if i := strings.IndexFunc(s, notHex); i >= 0 {
			r, _ := utf8.DecodeRuneInString(s[i:])
			wrong = fmt.Sprintf("%q among them", r)
		}
		if wrong != "" {
			d.fault(v.Pos, fmt.Sprintf("%s: expected 64 hexadecimal digits, got %s", label, wrong),
				digestAdvice(k))
			return "", false
		}
	}
	return s, true
}

func digestAdvice(k Key) string {
	if k.Path == authTokenDigest {
		return "write what auricle token new prints"
	}
	return "write what sha256sum prints for the module, or leave the key out to pin nothing"
}

func notHex(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') }

// bounded puts n into dst when it is within k's bounds.
func (d *decoder) bounded(k Key, label string, v value, n int64, dst any) bool {
	if n < k.Min || n > k.Max {
		is, limit := "below the least", k.Min
		if n > k.Max {
			is, limit = "above the most", k.Max
		}
		d.fault(v.Pos, fmt.Sprintf("%s: %s is %s, %s", label, short(v.Text), is, k.format(limit)), "set "+k.Bounds())
		return false
	}
	switch dst := dst.(type) {
	case *int:
		*dst = int(n)
	case *int64:
		*dst = n
	case *uint64:
		*dst = uint64(n)
	case *time.Duration:
		*dst = time.Duration(n)
	default:
		panic("config: key " + k.Path + " has a field of another type") // a mistake in the table
	}
	return true
}

// format writes a number of k's base unit as the file would say it.
func (k Key) format(n int64) string {
	switch k.Kind {
	case Duration:
		return formatDuration(time.Duration(n))
	case Size:
		return formatSize(n)
	}
	return formatWhole(n)
}

// wrongKind reports a value that is not of k's kind.
func (d *decoder) wrongKind(k Key, label string, v value) bool {
	expected, do := "", ""
	switch k.Kind {
	case Bool:
		expected, do = "true or false", "write one of the two, without quotes"
	case Whole:
		expected, do = "a whole number such as "+k.example(), "write it without quotes, unit or fraction"
	case Duration:
		expected, do = "a duration such as "+k.example(), "write it in quotes with its unit: ms, s, m or h"
	case Size:
		expected, do = "a size such as "+k.example(), "write it in quotes with its unit, B, KiB, MiB or GiB, or as a number of bytes"
	case List, Hosts, Ranges:
		expected, do = "a list of text such as "+k.example(), "write the items in quotes, between [ and ]"
	case Object:
		expected, do = "an object such as "+k.example(), "write the settings between { and }"
	case Choice:
		expected, do = "one of "+strings.Join(k.Choices, ", "), "write it in quotes"
	case Digest:
		expected, do = "64 hexadecimal digits", "write them in quotes"
	default:
		expected, do = "text such as "+k.example(), "write it in quotes"
	}
	switch v.Origin { // quotes are the file's business
	case fromEnvironment:
		expected, do = strings.ReplaceAll(expected, `"`, ""), "set one, or unset the variable"
	case fromFlag:
		expected, do = strings.ReplaceAll(expected, `"`, ""), "give one, or leave the flag out"
	}
	if v.Form == formNull {
		do = "write a value, or leave the key out for its default"
	}
	d.fault(v.Pos, fmt.Sprintf("%s: expected %s, got %s", label, expected, v.got()), do)
	return false
}

// defaultValue returns k's default as a value.
func (k Key) defaultValue() value {
	v := value{Form: formUntyped, Pos: Pos{File: "default"}, Text: k.Default}
	var s string
	if err := json.Unmarshal([]byte(k.Default), &s); err == nil {
		v.Text = s
	}
	return v
}

func (d *decoder) fault(at Pos, what, do string) {
	d.problems = append(d.problems, Problem{Pos: at, What: what, Do: do})
}

func (d *decoder) warn(at Pos, what, do string) {
	d.problems = append(d.problems, Problem{Pos: at, Severity: Warning, What: what, Do: do})
}
