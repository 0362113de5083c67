package config_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host/config"
)

// bad has, for each file of testdata/bad, everything that is wrong with it, as
// line:column: what; what to do.
var bad = []struct {
	file string
	want []string
}{
	{"app_bad_name", []string{ // capitals and spaces would end up in metrics and messages
		`1:5: app "Key Words": not an app's name; begin with a lower-case letter and go on with lower-case letters, digits, '-', '_' and '.'`,
	}},
	{"app_long_name", []string{ // names are bounded: they label every metric
		`1:5: app "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…": not an app's name; use at most 64 characters`,
	}},
	{"app_no_name", []string{ // without a name nothing could refer to the app
		`1:1: an app block has one name, got 0; write app "keywords" { … }`,
	}},
	{"app_twice", []string{ // two apps of one name could not be told apart
		`5:1: app "a" is given twice; give this one another name (the other is on line 1); two apps may share a module`,
	}},
	{"app_two_names", []string{ // the second name would be ignored
		`1:9: an app block has one name, got 2; write app "keywords" { … }`,
	}},
	{"auth_jwt", []string{ // algorithms that do not go with the keys, or are none; whose tokens, but not for whom; keys that anyone on the way could replace
		`4:18: auth.jwt.algorithms: HS256 does not go with a JWK set's public keys; use RS256, ES256, EdDSA`,
		`4:28: auth.jwt.algorithms: expected some of HS256, RS256, ES256, EdDSA, got "none"; use those only`,
		`5:18: auth.jwt.audience is missing: a token for any other service of the issuer would be taken; set it to the aud that is issued for this host`,
		`5:18: auth.jwt.jwks_url: it is not https; write one such as "https://login.example.org/.well-known/jwks.json"`,
	}},
	{"auth_keys_twice", []string{ // which of them would count?
		`6:19: auth.jwt: keys come from jwks_file and secret_file; keep one of them`,
	}},
	{"auth_no_keys", []string{ // an issuer alone checks nothing, and must not open a public address
		`1:10: listen: "0.0.0.0" is not a loopback address: there is no auth block, so a public address would let anyone stream as any user; say who may come in with an auth block (docs/security.md), or listen on 127.0.0.1:7080`,
		`4:14: auth.jwt has no keys, so that no token could be checked; set jwks_url, jwks_file or secret_file`,
	}},
	{"auth_token", []string{ // a token in the place of its hash; parts that are missing or misspelt; a block without a name
		`3:14: token "a": sha256: expected 64 hexadecimal digits, got "secret", which has 6 characters; write what auricle token new prints`,
		`4:15: token "a": scopes: expected some of stream, read, operate, got "streams"; did you mean stream?`,
		`6:3: token "b": sha256 is missing; add sha256 = "00000000…"`,
		`6:3: token "b": scopes is missing; add scopes = ["stream"]`,
		`7:11: token "b": uid: "two words" is not a uid; write 1 to 128 printable ASCII characters without spaces, or leave it out for any user`,
		`9:3: a token block has one name, got 0; write token "backend" { … }`,
	}},
	{"block_as_key", []string{ // HCL tells a block from an object; the equals sign is the mistake
		`1:1: pool is a block; write pool { … } without the equals sign`,
	}},
	{"block_twice", []string{ // which of two would count is anybody's guess
		`5:1: block pool is given twice; put its keys into the one on line 1`,
	}},
	{"block_inner_twice", []string{ // as for blocks at the top
		`5:3: block nats is given twice; put its keys into the one on line 2`,
	}},
	{"block_inner_unknown", []string{ // a misspelt block within a block
		`2:3: unknown block "conversation" in block retention; did you mean conversations? (known: conversations, outputs, dead_letters)`,
		`5:3: unknown block "output" in block retention; did you mean outputs? (known: conversations, outputs, dead_letters)`,
	}},
	{"block_unknown", []string{ // a misspelt block would be ignored with all that is in it
		`1:1: unknown block "conversations"; did you mean conversation? (known: operators, tls, pool, conversation, stream, audio, jobs, replay, retention, store, auth, app)`,
	}},
	{"block_with_name", []string{ // only apps are named
		`1:6: block pool takes no name; write pool { … }`,
	}},
	{"acme", []string{ // what can't be proven, accepted or reached
		`3:16: tls.acme.domains: "*.example.org" is a wildcard, which TLS-ALPN-01 can't prove; list each name`,
		`3:33: tls.acme.domains: "127.0.0.1" is an address; certificates are for names; write a whole name in lower case, such as "auricle.example.org"`,
		`3:46: tls.acme.domains: "Example.org" is not a domain; write a whole name in lower case, such as "auricle.example.org"`,
		`4:21: tls.acme.email: "ann" is not an address; write one such as "ops@example.org"`,
		`5:21: tls.acme.directory: "http://acme.example.org/dir" is not an https URL; write the authority's, such as "https://acme-v02.api.letsencrypt.org/directory"`,
	}},
	{"acme_terms", []string{ // nobody accepts them but the operator
		`3:15: an ACME authority gives certificates to those only who accept its terms; read them, and set tls.acme.accept_terms = true`,
	}},
	{"acme_and_files", []string{ // which of two would count is anybody's guess
		`5:20: certificates come from tls.cert or from tls.acme, not from both; remove one of the two`,
	}},
	{"choice_unknown", []string{ // a near miss of a fixed set of words
		`1:13: log_level: expected one of trace, debug, info, warn, error, got "warning"; did you mean warn?`,
	}},
	{"computed_calculation", []string{ // arithmetic: values are written out
		`2:13: pool.workers: a calculation is not a value; write the value itself: a configuration file has no variables, functions or calculations`,
	}},
	{"computed_condition", []string{ // conditions: values are written out
		`1:12: log_json: a calculation is not a value; write the value itself: a configuration file has no variables, functions or calculations`,
	}},
	{"computed_for", []string{ // loops could build anything from little
		`3:24: app "a": settings: a calculation is not a value; write the value itself: a configuration file has no variables, functions or calculations`,
	}},
	{"computed_function", []string{ // there are no functions; the app's module is not "missing" as well
		`2:12: app "a": module: abspath(…) is a function call, and there are no functions here; write the value itself`,
	}},
	{"computed_name", []string{ // a name between parentheses is an expression
		`3:16: app "a": settings: the name of an object's member is computed; write the value itself: a configuration file has no variables, functions or calculations`,
	}},
	{"computed_variable", []string{ // variables: the environment variable that does it is named
		`1:15: data_dir: env.HOME is a variable, and there are no variables here; write the value itself, or leave the key out and set AURICLE_DATA_DIR in the environment`,
		`4:15: app "a": module: dir is a variable, and there are no variables here; put text in quotes: "dir"`,
	}},
	{"depth", []string{ // the HCL parser recurses, so depth costs stack
		`3:82: more than 64 brackets within brackets; make it flatter, or close the brackets before it`,
	}},
	{"duration_negative", []string{ // a negative bound means nothing
		`1:9: drain: -1s is below the least, 0s; set 0s to 1h`,
	}},
	{"duration_number", []string{ // a number has no unit
		`2:13: conversation.silence: expected a duration such as "120s", got number 5; write it in quotes with its unit: ms, s, m or h`,
	}},
	{"duration_too_long", []string{ // above the bound
		`2:13: conversation.silence: 5h is above the most, 4h; set 2s to 4h`,
	}},
	{"duration_too_short", []string{ // one millisecond below the bound
		`2:13: conversation.silence: 1999ms is below the least, 2s; set 2s to 4h`,
	}},
	{"duration_unit", []string{ // days are not fixed lengths of time
		`2:11: conversation.grace: expected a duration such as "30s", got "2d"; write it in quotes with its unit: ms, s, m or h`,
	}},
	{"fuel_fraction", []string{ // fuel is counted in whole units
		`5:12: app "a": limits.fuel: expected a whole number such as 50e6, got number 0.5; write it without quotes, unit or fraction`,
	}},
	{"fuel_zero", []string{ // zero fuel can run nothing; the default is had by leaving the key out
		`5:12: app "a": limits.fuel: 0 is below the least, 1; set 1 to 1e15 units of fuel`,
	}},
	{"grant_item_kind", []string{ // a capability is a word
		`3:27: app "a": grant: expected text such as "audio", got number 5; write the item in quotes`,
	}},
	{"grant_not_list", []string{ // one word without brackets
		`3:12: app "a": grant: expected a list of text such as ["transcript", "notify"], got "transcript"; write the items in quotes, between [ and ]`,
	}},
	{"grant_twice", []string{ // a duplicate is a slip of the pen, probably for another word
		`3:37: app "a": grant: "transcript" is there twice; remove one of the two`,
	}},
	{"grant_unknown", []string{ // one that is nearly right, one that no host knows
		`5:5: app "a": grant: unknown capability "notfy"; did you mean notify? (known: audio, transcript, conversation, tools, notify, http, storage)`,
		`6:5: app "a": grant: unknown capability "camera"; remove it (known: audio, transcript, conversation, tools, notify, http, storage)`,
	}},
	{"http", []string{ // each would reach nothing, everything, or be read by everyone
		`5:16: app "a": http.hosts: "https://b.example.com": https is what is meant without a scheme; write "b.example.com"`,
		`6:16: app "a": http.hosts: "c.example.com/v1" is more than a host; write one such as "api.example.com", "*.example.com" or "http://10.0.0.5:8080"`,
		`7:16: app "a": http.hosts: "*.com" would be far more than one owner's hosts; write one such as "api.example.com", "*.example.com" or "http://10.0.0.5:8080"`,
		`8:16: app "a": http.hosts: "*": a host's name has ASCII letters, digits, '-', '_' and dots (an international one in its xn-- form); write one such as "api.example.com", "*.example.com" or "http://10.0.0.5:8080"`,
		`9:16: app "a": http.private: "10.0.0.1" is no range of addresses; write one such as "10.0.0.0/8" or "fd00::/8"`,
		`9:28: app "a": http.private: "10.0.0.1/8" has bits behind its length; write "10.0.0.0/8"`,
		`10:15: app "a": http.rate: 0 is below the least, 1; set 1 to 1000000 calls a minute`,
		`13:15: app "a": http.header "Authorization": value: the environment variable A_KEY is not set; set it where the host is started, or remove this key`,
		`15:5: app "a": http.header "Host": this header is the host's own; remove it`,
		`18:5: app "a": http.header "X-Key": value is missing; add value = env("API_KEY")`,
		`19:5: app "a": http.header "x-key": it is given twice; keep one of the two (the other is on line 18)`,
		`20:15: app "a": http.header "x-key": value: env takes one name; write env("NAME") with the name of an environment variable`,
		`23:15: app "a": http.header "Y": value: expected a secret; write env("NAME"), which takes it from the environment`,
		`26:16: app "a": http.sign.secret: a secret to sign with has 16 bytes or more; make one, such as by openssl rand -hex 32`,
		`31:20: app "b": module: env(…) is a function call, and there are no functions here; write the value itself: env is for secrets`,
	}},
	{"key_as_block", []string{ // settings is an object: the equals sign is missing
		`4:3: app "a": settings is a key, not a block; write it with an equals sign, such as settings = { words = ["budget"] }`,
	}},
	{"key_misplaced", []string{ // a key that belongs elsewhere is told where
		`1:1: unknown key "silence"; move it into block conversation { … }`,
		`2:1: unknown key "module"; move it into an app "…" { … } block`,
		`5:3: unknown key "listen" in block pool; move it out of this block, to the top of the file`,
		`10:3: app "a": unknown key "wall"; move it into block limits { … }`,
		`13:5: app "a": unknown key "grant" in block limits; move it out of this block, into the app block`,
	}},
	{"key_twice", []string{ // which of two would count is anybody's guess
		`2:1: drain is given twice; keep one of the two (the other is on line 1)`,
	}},
	{"key_unknown", []string{ // misspelt and made-up keys at every level
		`1:1: unknown key "lisen"; did you mean listen? (known: listen, data_dir, drain, log_level, log_json)`,
		`2:1: unknown key "color"; remove it (known: listen, data_dir, drain, log_level, log_json)`,
		`5:3: unknown key "worker" in block pool; did you mean workers? (known: workers, queue, per_app)`,
		`9:3: app "a": unknown key "moduel"; did you mean module? (known: module, sha256, grant, users, state, settings)`,
		`13:5: app "a": unknown key "time" in block limits; remove it (known: fuel, wall, conversation_wall, memory)`,
	}},
	{"limits_negative", []string{ // negative limits
		`5:14: app "a": limits.fuel: -1 is below the least, 1; set 1 to 1e15 units of fuel`,
		`6:14: app "a": limits.wall: -250ms is below the least, 1ms; set 1ms to 10m`,
		`7:14: app "a": limits.memory: -65536 is below the least, 64KiB; set 64KiB to 4GiB`,
	}},
	{"limits_too_large", []string{ // limits that limit nothing
		`5:14: app "a": limits.fuel: 10000000000000000 is above the most, 1e15; set 1 to 1e15 units of fuel`,
		`6:14: app "a": limits.wall: 1h is above the most, 10m; set 1ms to 10m`,
		`7:14: app "a": limits.memory: 5GiB is above the most, 4GiB; set 64KiB to 4GiB`,
	}},
	{"listen_every_address", []string{ // no host means every interface
		`1:10: listen: ":7080" means every address of this machine: there is no auth block, so a public address would let anyone stream as any user; say who may come in with an auth block (docs/security.md), or listen on 127.0.0.1:7080`,
	}},
	{"operators_public", []string{ // whoever reaches it can stop, read and change everything
		`2:12: operators.listen: "0.0.0.0" is not a loopback address: there is no auth block, so a public address would let anyone operate this host; say who may come in with an auth block (docs/security.md), or listen on 127.0.0.1:7081`,
	}},
	{"operators_as_clients", []string{ // one port can't be two
		`2:12: listen and operators.listen are one address, 127.0.0.1:7080; give operators a port of their own; 0 takes a free one`,
	}},
	{"origins", []string{ // each would match nothing, or too much
		`2:14: stream.origins: "*" would let every page on the web use the host as whoever visits it; write one as browsers do, such as "https://app.example.com" or "http://localhost:3000"`,
		`2:19: stream.origins: "https://app.example.com/" is more than an origin, which ends after host and port; write one as browsers do, such as "https://app.example.com" or "http://localhost:3000"`,
		`3:14: stream.origins: "https://*.example.com" has a *: origins match exactly, so list each; write one as browsers do, such as "https://app.example.com" or "http://localhost:3000"`,
	}},
	{"tls_half", []string{ // a certificate is of no use without its key
		`2:10: tls.cert has no tls.key; name the file of its private key too`,
	}},
	{"listen_no_port", []string{ // a host alone
		`1:10: listen: "127.0.0.1" is not host:port; write host:port, such as "127.0.0.1:7080"`,
	}},
	{"listen_port", []string{ // ports end at 65535
		`1:10: listen: "70800" is not a port; write a port from 0 to 65535 after the last colon; 0 takes a free one`,
	}},
	{"listen_public", []string{ // the unspecified address is every interface
		`1:10: listen: "0.0.0.0" is not a loopback address: there is no auth block, so a public address would let anyone stream as any user; say who may come in with an auth block (docs/security.md), or listen on 127.0.0.1:7080`,
	}},
	{"listen_public_ipv6", []string{ // a global IPv6 address
		`1:10: listen: "2001:db8::1" is not a loopback address: there is no auth block, so a public address would let anyone stream as any user; say who may come in with an auth block (docs/security.md), or listen on 127.0.0.1:7080`,
	}},
	{"listen_public_name", []string{ // a name may resolve to anything
		`1:10: listen: "auricle.example.org" is not a loopback address: there is no auth block, so a public address would let anyone stream as any user; say who may come in with an auth block (docs/security.md), or listen on 127.0.0.1:7080`,
	}},
	{"many", []string{ // faults of the grammar, of kinds, of bounds and of names, all in one run
		`2:12: listen: "0.0.0.0" is not a loopback address: there is no auth block, so a public address would let anyone stream as any user; say who may come in with an auth block (docs/security.md), or listen on 127.0.0.1:7080`,
		`3:12: data_dir: expected text such as "data", got number 5; write it in quotes`,
		`4:14: the value ends here, but the line goes on; put each key on a line of its own, and quotes around text, durations and sizes, such as "250ms" or "32MiB"`,
		`7:13: pool.workers: 0 is below the least, 1; set 1 to 4096 invocations`,
		`8:3: unknown key "queues" in block pool; did you mean queue? (known: workers, queue, per_app)`,
		`12:26: app "keywords": grant: unknown capability "notfy"; did you mean notify? (known: audio, transcript, conversation, tools, notify, http, storage)`,
		`15:12: app "keywords": limits.fuel: expected a whole number such as 50e6, got "50e6"; write it without quotes, unit or fraction`,
		`16:15: the value ends here, but the line goes on; put each key on a line of its own, and quotes around text, durations and sizes, such as "250ms" or "32MiB"`,
		`22:12: app "minutes": sha256: expected 64 hexadecimal digits, got "9f86", which has 4 characters; write what sha256sum prints for the module, or leave the key out to pin nothing`,
	}},
	{"member_twice", []string{ // HCL itself would let the last one win in silence
		`5:5: app "a": settings: "words" is given twice; keep one of the two (the other is on line 4)`,
	}},
	{"module_empty", []string{ // an empty path is the directory itself
		`2:12: app "a": module: "" is not a path; write one, such as "build/apps/keywords.wasm"`,
	}},
	{"module_missing", []string{ // an app is nothing without its module
		`1:1: app "a": module is missing; add module = "build/apps/keywords.wasm"`,
	}},
	{"nats_urls", []string{ // only addresses of NATS servers; passwords are not repeated
		`3:13: store.nats.urls: "http://nats.example.org": scheme "http" is not nats or tls; write one such as "nats://10.0.0.1:4222" or "tls://nats.example.org:4222"`,
		`3:40: store.nats.urls: "nats.example.org:4222" is not the address of a NATS server; write one such as "nats://10.0.0.1:4222" or "tls://nats.example.org:4222"`,
		`3:65: store.nats.urls: "nats://me:xxxxx@10.0.0.1/x": an address of a NATS server ends after the port; write one such as "nats://10.0.0.1:4222" or "tls://nats.example.org:4222"`,
		`3:96: store.nats.urls: expected text such as "nats://10.0.0.1:4222", got number 4222; write the item in quotes`,
	}},
	{"null_value", []string{ // HCL has null, configurations do not
		`1:9: drain: expected a duration such as "20s", got null; write a value, or leave the key out for its default`,
	}},
	{"number_fraction", []string{ // half a worker
		`2:13: pool.workers: expected a whole number such as 32, got number 1.5; write it without quotes, unit or fraction`,
	}},
	{"number_in_quotes", []string{ // text is not a number
		`2:13: pool.workers: expected a whole number such as 32, got "32"; write it without quotes, unit or fraction`,
	}},
	{"number_too_large", []string{ // above the bound
		`2:13: pool.workers: 5000 is above the most, 4096; set 1 to 4096 invocations`,
	}},
	{"number_unrepresentable", []string{ // written out, such a number could fill the memory
		`3:24: app "a": settings: this number is out of range; write one that a 64-bit floating-point number can hold`,
	}},
	{"pong_too_soon", []string{ // no client could answer in time
		`3:19: stream.pong_timeout (30s) is not longer than stream.ping_interval (30s), so that every stream would be closed; make the timeout twice the interval or more`,
	}},
	{"settings_not_object", []string{ // settings have names
		`3:14: app "a": settings: expected an object such as { words = ["budget"] }, got a list; write the settings between { and }`,
	}},
	{"sha256_not_hex", []string{ // 64 characters, but no hexadecimal digits
		`3:12: app "a": sha256: expected 64 hexadecimal digits, got 'g' among them; write what sha256sum prints for the module, or leave the key out to pin nothing`,
	}},
	{"sha256_short", []string{ // a digest that was cut
		`3:12: app "a": sha256: expected 64 hexadecimal digits, got "9f86d081", which has 8 characters; write what sha256sum prints for the module, or leave the key out to pin nothing`,
	}},
	{"size_fraction", []string{ // bytes are whole
		`2:12: audio.buffer: expected a size such as "4MiB", got "1.5MiB": it is not a whole number of MiB; write a whole number of B, KiB, MiB or GiB`,
	}},
	{"size_kind", []string{ // true is no size
		`2:12: audio.buffer: expected a size such as "4MiB", got true; write it in quotes with its unit, B, KiB, MiB or GiB, or as a number of bytes`,
	}},
	{"size_too_small", []string{ // below the bounds, once in bytes and once with a unit
		`2:18: stream.max_message: 100 is below the least, 4KiB; set 4KiB to 16MiB`,
		`3:18: stream.output_queue: 1KiB is below the least, 64KiB; set 64KiB to 256MiB`,
	}},
	{"size_unit", []string{ // MB may mean two things; units have one spelling
		`2:12: audio.buffer: expected a size such as "4MiB", got "4MB": there is no unit MB; write a whole number of B, KiB, MiB or GiB`,
		`6:17: stream.max_message: expected a size such as "1MiB", got "64kib": the unit is written KiB; write a whole number of B, KiB, MiB or GiB`,
	}},
	{"state_not_text", []string{ // there are two states, and either has a name
		`3:12: app "notes": state: expected one of fresh, session, got true; write it in quotes`,
	}},
	{"state_unknown", []string{ // a near miss of a fixed set of words
		`3:12: app "notes": state: expected one of fresh, session, got "sessions"; did you mean session?`,
	}},
	{"switch_in_quotes", []string{ // text is not true
		`1:12: log_json: expected true or false, got "true"; write one of the two, without quotes`,
	}},
	{"syntax_curly_quotes", []string{ // text pasted from a web page
		`1:13: "Curly quotes" are not valid here; put text in straight double quotes, such as "info"`,
	}},
	{"syntax_duration", []string{ // three lines that stop HCL's parser are still all reported
		`1:11: the value ends here, but the line goes on; put each key on a line of its own, and quotes around text, durations and sizes, such as "250ms" or "32MiB"`,
		`4:16: the value ends here, but the line goes on; put each key on a line of its own, and quotes around text, durations and sizes, such as "250ms" or "32MiB"`,
		`5:15: the value ends here, but the line goes on; put each key on a line of its own, and quotes around text, durations and sizes, such as "250ms" or "32MiB"`,
	}},
	{"syntax_list", []string{ // a comma is missing
		`3:26: expected a comma to mark the beginning of the next item; separate the items with commas and close the list with a ], such as ["a", "b"]`,
	}},
	{"syntax_no_value", []string{ // nothing after the equals sign
		`1:8: a value is expected here; write a number, true, false, text in quotes, a list [ … ] or an object { … }`,
	}},
	{"syntax_not_utf8", []string{ // a file in another encoding
		`1:17: these bytes are not UTF-8; save the file as UTF-8`,
	}},
	{"syntax_surplus_brace", []string{ // what follows is still checked
		`4:1: this bracket closes nothing; remove it, or open a block before it`,
		`5:13: log_level: expected one of trace, debug, info, warn, error, got "inf"; did you mean info?`,
	}},
	{"syntax_unclosed_block", []string{ // what could be read is still checked
		`1:6: this block is never closed; add the } that closes it`,
		`2:13: pool.workers: 0 is below the least, 1; set 1 to 4096 invocations`,
		`4:1: unknown block "conversation" in block pool; move it out of this block, to the top of the file; is a } missing before it?`,
	}},
	{"syntax_unclosed_text", []string{ // what follows is still checked
		`1:25: this text is not closed on its line; close it with a " on the same line`,
		`2:9: drain: expected a duration such as "20s", got number 5; write it in quotes with its unit: ms, s, m or h`,
	}},
	{"text_number", []string{ // a number is not text
		`1:12: data_dir: expected text such as "data", got number 5; write it in quotes`,
	}},
	{"users_kind", []string{ // one uid without brackets
		`3:12: app "a": users: expected a list of text such as ["*"], got "*"; write the items in quotes, between [ and ]`,
	}},
	{"users_not_uid", []string{ // uids as clients may send them; a duplicate
		`3:21: app "a": users: "" is not a uid; write 1 to 128 printable ASCII characters without spaces, or "*" for everyone`,
		`3:25: app "a": users: "two words" is not a uid; write 1 to 128 printable ASCII characters without spaces, or "*" for everyone`,
		`3:38: app "a": users: "zoë" is not a uid; write 1 to 128 printable ASCII characters without spaces, or "*" for everyone`,
		`3:45: app "a": users: "anna" is there twice; remove one of the two`,
	}},
	{"webhook", []string{ // an app is one of two things; what follows from the block can't be said again; URLs that give something away or are none
		`2:14: app "both": module and a webhook block are there both; keep one of the two: an app is a module, or a webhook`,
		`3:14: app "both": grant and a webhook block are there both; remove it: a webhook gets what it has a URL for`,
		`4:14: app "both": state and a webhook block are there both; remove it: it follows from the webhook block`,
		`5:14: app "both": settings and a webhook block are there both; remove it: it follows from the webhook block`,
		`12:12: app "both": limits.wall and a webhook block are there both; remove it: it follows from the webhook block`,
		`16:1: app "none": its webhook block has no URL, so that nothing would be posted; name one as conversation, transcript or audio`,
		`20:1: app "empty": module is missing; add module = "build/apps/keywords.wasm"`,
		`26:26: app "bad": webhook.conversation: it is http://, which anyone on the way can read and change; write https://, or, for an address inside, name its network in http { private = ["10.0.0.0/8"] }`,
		`27:26: app "bad": webhook.transcript: it holds a user or a password; keys belong into the operator's configuration`,
		`28:26: app "bad": webhook.audio: its scheme is neither https nor http; write an absolute URL such as "https://api.example.com/v1"`,
		`29:26: app "bad": webhook.audio_every: 20s is above the most, 10s; set 100ms to 10s`,
		`30:26: app "bad": webhook.transcript_timeout: expected a duration such as "5s", got number 5; write it in quotes with its unit: ms, s, m or h`,
		`31:5: app "bad": unknown key "url" in block webhook; remove it (known: conversation, transcript, audio, audio_every, conversation_timeout, transcript_timeout, audio_timeout)`,
		`37:20: app "query": webhook.conversation: its query has uid, which is added to it; remove that`,
		`38:20: app "query": webhook.transcript: it has a fragment (#…), which no service sees; leave it out`,
		`39:20: app "query": webhook.audio: its scheme is neither https nor http; write an absolute URL such as "https://api.example.com/v1"`,
		`45:20: app "garbled": webhook.conversation: its query can't be read; escape what is no letter or digit with %`,
		`46:20: app "garbled": webhook.transcript is empty; write a URL, or remove the key`,
		`47:20: app "garbled": webhook.audio: it names no host; write an absolute URL such as "https://api.example.com/v1"`,
	}},
}

// warned is the same for files that a host starts with all the same.
var warned = []struct {
	file string
	want []string
}{
	{"per_app_above_workers", []string{ // the bulkhead would hold nothing back
		`3:13: warning: pool.per_app (8) is above pool.workers (4), so that one app may take the whole pool; set it below workers, or to 0 for a quarter of them`,
	}},
	{"secret_literal", []string{ // whoever backs the file up has the key
		`4:16: warning: app "a": http.private: "0.0.0.0/0" is every address: loopback, this network and the cloud's metadata too; name the ranges that the app needs`,
		`6:15: warning: app "a": http.header "Authorization": value: whoever can read this file has the secret; put it into the environment and write env("NAME")`,
	}},
	{"users_empty", []string{ // an app for nobody is allowed, but hardly meant
		`3:12: warning: app "a": users: the list is empty, so that the app works for nobody; write ["*"] for everyone, or remove the app`,
	}},
	{"users_everyone_and_more", []string{ // the other uids have no effect
		`3:21: warning: app "a": users: "*" is everyone, the other uids with it; write ["*"] alone, or remove the "*"`,
	}},
}

func TestEachBadFileIsReportedWholly(t *testing.T) {
	files := filesIn(t, "testdata/bad")
	for _, row := range bad {
		t.Run(row.file, func(t *testing.T) {
			path := "testdata/bad/" + row.file + ".hcl"
			files = slices.DeleteFunc(files, func(f string) bool { return f == path })
			_, ps := config.Load(config.LoadOptions{Path: path})
			if ps.Err() == nil {
				t.Errorf("Err() = nil, want the faults of %s", path)
			}
			sameLines(t, ps, path, row.want)
		})
	}
	if len(files) > 0 {
		t.Errorf("files that no row of the table names: %v", files)
	}
}

func TestEachQuestionableFileIsWarnedOf(t *testing.T) {
	files := filesIn(t, "testdata/warned")
	for _, row := range warned {
		t.Run(row.file, func(t *testing.T) {
			path := "testdata/warned/" + row.file + ".hcl"
			files = slices.DeleteFunc(files, func(f string) bool { return f == path })
			_, ps := config.Load(config.LoadOptions{Path: path})
			if err := ps.Err(); err != nil {
				t.Errorf("Err() = %v, want nil: warnings stop nothing", err)
			}
			sameLines(t, ps, path, row.want)
		})
	}
	if len(files) > 0 {
		t.Errorf("files that no row of the table names: %v", files)
	}
}

func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(dir + "/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatalf("files of %s: %v, %v", dir, files, err)
	}
	for i, f := range files {
		files[i] = filepath.ToSlash(f)
	}
	return files
}

// sameLines compares problems with the lines that they should print, path
// before each.
func sameLines(t *testing.T, got config.Problems, path string, want []string) {
	t.Helper()
	lines := make([]string, len(want))
	for i, w := range want {
		lines[i] = path + ":" + w
	}
	if g, w := got.String(), strings.Join(lines, "\n"); g != w {
		t.Errorf("problems\n%s\nwant\n%s", g, w)
	}
}
