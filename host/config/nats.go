package config

import (
	"fmt"
	"net/url"
)

// checkNATS says what is wrong with the address of a NATS server and what to
// do, or nothing.
func checkNATS(s string) (what, do string) {
	const write = `write one such as "nats://10.0.0.1:4222" or "tls://nats.example.org:4222"`
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "":
		return quote(s) + " is not the address of a NATS server", write
	case u.Scheme != "nats" && u.Scheme != "tls":
		return fmt.Sprintf("%s: scheme %s is not nats or tls", quote(u.Redacted()), quote(u.Scheme)), write
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "":
		return quote(u.Redacted()) + ": an address of a NATS server ends after the port", write
	}
	return "", ""
}
