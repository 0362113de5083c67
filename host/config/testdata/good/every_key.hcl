listen    = "[::1]:0"
data_dir  = "/var/lib/auricle/../auricle"
drain     = "0s"
log_level = "trace"
log_json  = true

pool {
  workers = 4.0
  queue   = 1e3
  per_app = 2
}

conversation {
  silence = "2s"
  grace   = "1h"
}

stream {
  max_message   = 65536
  output_queue  = "2MiB"
  origins           = ["https://app.example.com", "http://[::1]:3000"]
  handshake_timeout = "5s"
  start_timeout = "1m30s"
  ping_interval = "1.5s"
  pong_timeout  = "3s"
  idle_timeout  = "1m"
  audio_rate    = 10
  audio_burst   = "90s"
  per_user      = 3
  sessions      = 500
  compression   = true
}

audio { buffer = "64KiB" }

jobs {
  attempts = 3
  over     = "30s"
}

replay {
  keep   = "1MiB"
  one_in = 1000
}

retention {
  conversations {
    age  = "48h"
    size = "1GiB"
  }

  outputs {
    age  = "24h"
    size = 0
  }

  dead_letters {
    age  = "0s"
    size = "1MiB"
  }
}

store {
  nats {
    urls        = ["nats://10.0.0.1:4222", "tls://nats.example.org"]
    credentials = "auricle.creds"
    ca          = "/etc/ssl/nats.pem"
    replicas    = 1
  }
}

app "notes.summary_2-b" {
  module = "../apps/notes.wasm"
  sha256 = "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08"
  grant  = ["conversation", "notify"]
  users  = ["anna", "bert@example.org"]
  state  = "session"
  settings = {
    words     = ["budget", "größe"]
    "a/b~c"   = { deep = [null, true, -0.5] }
    big       = 12345678901234567890
    text      = <<-EOT
      two
      lines
    EOT
    true      = 1e-7
    escaped   = "$${not.a.variable} <&> \"q\""
    nothing   = {}
  }

  limits {
    fuel   = 50e6
    wall   = "250ms"
    memory = "32MiB"
    conversation_wall = "20s"
  }

  http {
    hosts        = ["api.example.com", "*.example.org", "http://10.1.2.3:8080"]
    private      = ["10.0.0.0/8", "fd00::/8"]
    max_request  = "4KiB"
    max_response = 65536
    timeout      = "3s"
    concurrency  = 2
    rate         = 60

    header "authorization" {
      value = env("NOTES_KEY")
      hosts = ["api.example.com"]
    }

    sign {
      secret = env("HOOK_SECRET")
      hosts  = ["*.example.org"]
    }
  }
}

app "bare" { module = "/opt/bare.wasm" }

operators { listen = "localhost:7443" }

tls {
  acme {
    domains       = ["auricle.example.org", "a.example.org"]
    email         = "ops@example.org"
    directory     = "https://acme.example.org/directory"
    ca            = "acme.pem"
    accept_terms  = true
  }
}

auth {
  jwt {
    issuer      = "https://login.example.org/"
    audience    = "auricle"
    algorithms  = ["EdDSA", "ES256"]
    jwks_file   = "jwks.json"
    leeway      = "1m"
    scopes      = ["read"]
  }

  tokens {
    ttl      = "30s"
    per_user = 2
    most     = 1e3
  }

  token "backend" {
    sha256 = "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08"
    scopes = ["stream", "operate"]
  }

  token "ana" {
    sha256 = "0086d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    uid    = "ana@example.org"
    scopes = ["read"]
  }
}
