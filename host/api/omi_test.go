package api_test

import (
	"encoding/json"
	"testing"

	"github.com/auricle-dev/auricle/host/api"
)

// FuzzOmiCall checks that what is taken of a body of Omi's chat has a user, and
// that the arguments are an object with none of Omi's own members, and no null.
func FuzzOmiCall(f *testing.F) {
	for _, seed := range []string{
		`{"uid":"ada","app_id":"01","tool_name":"t","geolocation":{"latitude":1},"text":"milk","lang":null}`,
		`{"uid":"ada","uid":"eve"}`, `{"uid":7}`, `{"uid":null}`, `[]`, `{`, ``, `{"uid":"ada"} {}`, `{"uid":"ada","a":{"uid":"eve"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		uid, arguments, err := api.ParseOmiCall(body)
		if err != nil {
			return
		}
		var whole, given map[string]json.RawMessage
		if json.Unmarshal(body, &whole) != nil || json.Unmarshal(arguments, &given) != nil || given == nil {
			t.Fatalf("%q was taken, with arguments %q", body, arguments)
		}
		var named string
		if json.Unmarshal(whole["uid"], &named) != nil || named != uid || uid == "" {
			t.Fatalf("%q is taken as of %q", body, uid)
		}
		for name, value := range given {
			switch name {
			case "uid", "app_id", "tool_name", "geolocation":
				t.Fatalf("%q is an argument of %q", name, body)
			}
			if string(value) == "null" {
				t.Fatalf("%q is null in %q", name, arguments)
			}
		}
	})
}
