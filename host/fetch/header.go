package fetch

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/reach"
	"github.com/auricle-dev/auricle/sdk/event"
	"golang.org/x/net/http/httpguts"
)

// The headers of a signed request.
const (
	SignatureHeader = "Auricle-Signature"
	TimestampHeader = "Auricle-Timestamp"
)

// headers puts the app's headers into h, unless they are not the app's to set.
func (c *Client) headers(h http.Header, own map[string]string) error {
	seen := map[string]bool{}
	for name, value := range own {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return refuse(event.CodeBadRequest, "a header's name has a character that none may have")
		case config.ReservedHeader(canonical) || c.operators(canonical):
			return refuse(event.CodeBadRequest, "the header %s is the host's to set", canonical)
		case !httpguts.ValidHeaderFieldValue(value):
			return refuse(event.CodeBadRequest, "the header %s has a character that none may have", canonical)
		case seen[canonical]:
			return refuse(event.CodeBadRequest, "the header %s is there twice", canonical)
		}
		seen[canonical] = true
		h.Set(canonical, value)
	}
	return nil
}

// operators reports whether the host puts in the header of that name.
func (c *Client) operators(canonical string) bool {
	for _, h := range c.config.Headers {
		if http.CanonicalHeaderKey(h.Name) == canonical {
			return true
		}
	}
	return false
}

// dress puts in what the operator has the host put in for a host's requests.
func (c *Client) dress(req *http.Request, to reach.Host, body []byte) {
	for _, h := range c.config.Headers {
		if h.Hosts == nil || to.Any(h.Hosts) {
			req.Header.Set(h.Name, h.Value.Reveal())
		}
	}
	if s := c.config.Sign; !s.Secret.IsZero() && (s.Hosts == nil || to.Any(s.Hosts)) {
		at := c.now()
		req.Header.Set(TimestampHeader, strconv.FormatInt(at.Unix(), 10))
		req.Header.Set(SignatureHeader, Signature(s.Secret, at, body))
	}
}

// undress takes out what dress put in.
func (c *Client) undress(h http.Header) {
	for _, own := range c.config.Headers {
		h.Del(own.Name)
	}
	h.Del(TimestampHeader)
	h.Del(SignatureHeader)
}

// Signature returns the value of SignatureHeader for a request with body that
// is sent at a time: "t=UNIX SECONDS,v1=HEX", the HMAC-SHA256 of "t.body".
func Signature(secret config.Secret, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// headers returns an answer's headers as an app gets them.
func headers(h http.Header) map[string]string {
	out := make(map[string]string, len(h))
	for name, values := range h {
		if name != "Set-Cookie" { // its values hold commas, and an app has no use for them
			out[name] = strings.ToValidUTF8(strings.Join(values, ", "), "\uFFFD")
		}
	}
	return out
}
