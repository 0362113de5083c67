# The configuration of an Auricle host: `make run`, `make serve` and
# `build/auricle serve -config config.hcl` use this file, and
# `build/auricle check -config config.hcl` says whether it is sound.
#
# Every key is here. A key that is commented out stands at its default. A value
# of the environment (AURICLE_LISTEN, AURICLE_POOL_WORKERS, …: AURICLE_, then
# the block's and the key's name in capitals) goes over the file's, and a flag
# (-listen, -pool-workers, …) over both. Apps are set here only.
#
# Durations are text with a unit: "250ms", "20s", "2m", "1h30m". Sizes are text
# with a unit, "64KiB", "32MiB", "1GiB", or a number of bytes. Values are
# written out: there are no variables, functions or calculations.

# Where clients connect: host:port. Without an auth block only a loopback
# address: anyone who can reach it may stream as any user. Port 0 takes a free
# port.
# Default "127.0.0.1:7080".
listen = "127.0.0.1:7080"

# The directory for conversations and compiled apps, relative to this file's
# directory. It is made when it is missing. One host at a time can hold it.
# Default "data".
data_dir = "data"

# How long a stop (SIGTERM) waits for what is running before it cuts it off.
# 0s to 1h, default "20s".
# drain = "20s"

# The least important lines that are logged: "trace", "debug", "info", "warn"
# or "error". What was said is never logged at info or above.
# Default "info".
# log_level = "info"

# Whether log lines are JSON, for machines.
# true or false, default false.
# log_json = false

# Where operators connect.
operators {
  # host:port: metrics, apps, users' apps, jobs, recordings, reload, cluster and
  # profiles are served here only. Without an auth block only a loopback address:
  # anyone who can reach it may operate this host. Port 0 takes a free port.
  # Default "127.0.0.1:7081".
  # listen = "127.0.0.1:7081"
}

# How connections are encrypted: with a certificate from files, or with some from
# an ACME authority. Without either they are not. Operators' connections are
# encrypted too where their address is not a loopback one.
tls {
  # The certificates (PEM), the host's own first, relative to this file's
  # directory. Read again when the file changes. Empty: none. Default "".
  # cert = ""

  # The certificate's private key (PEM), likewise. Default "".
  # key = ""

  # An ACME authority, such as Let's Encrypt.
  acme {
    # The names to have certificates for. The authority must reach this host on
    # port 443 of them (TLS-ALPN-01). What it gives is kept in data_dir. Empty:
    # no ACME. Default [].
    # domains = []

    # Where the authority may write to. Empty: nowhere. Default "".
    # email = ""

    # The authority's directory, an https URL. Empty: Let's Encrypt's.
    # Default "".
    # directory = ""

    # The certificates (PEM) that the directory's own are checked with, for an
    # authority of your own, relative to this file's directory. Empty: the
    # system's. Default "".
    # ca = ""

    # Whether you accept the authority's terms of service. Without it there are
    # no certificates. true or false, default false.
    # accept_terms = false
  }
}

# The workers that all apps share. Each queue has a bound, so that apps that
# are slow or broken cost a known amount of memory and hold up nobody else.
pool {
  # Invocations of apps running at once, all apps together. One that computes
  # takes a core; one that waits takes none.
  # 1 to 4096 invocations, default 32.
  workers = 32

  # Invocations that may wait for a worker, for each app. Beyond it live events
  # are dropped, counted and told to the client. Completed conversations are
  # never dropped.
  # 1 to 1000000 invocations, default 1024.
  queue = 1024

  # Invocations of one app running at once, so that no app takes all workers.
  # 0 to 4096 invocations; 0 is a quarter of workers, at least 1. Default 0.
  # per_app = 0
}

# When a conversation completes by itself. A client can always complete it
# sooner.
conversation {
  # Nothing said for this long completes the conversation; what is said next
  # begins another.
  # 2s to 4h, default "120s".
  silence = "120s"

  # How long a conversation whose stream was lost waits before it completes.
  # 0s to 1h, default "30s".
  # grace = "30s"
}

# The bounds of one client's connection.
stream {
  # The largest message taken from a client. A larger one closes its stream.
  # 4KiB to 16MiB, default "1MiB".
  # max_message = "1MiB"

  # Messages that may wait for a client that reads slowly. Beyond it the stream
  # is closed; the client may connect again.
  # 64KiB to 256MiB for each stream, default "1MiB".
  # output_queue = "1MiB"

  # The origins of web pages that may stream and, over HTTP, read conversations,
  # such as ["https://app.example.com"]: scheme, host and port match exactly.
  # Empty: pages of this machine may stream, and none may read. Default [].
  # origins = []

  # How long a client may take for its TLS handshake, and then for the head of a
  # request.
  # 1s to 5m, default "10s".
  # handshake_timeout = "10s"

  # How long a client may take to send its first message, "start".
  # 100ms to 5m, default "10s".
  # start_timeout = "10s"

  # Time between two pings to a client.
  # 100ms to 1h, default "20s".
  # ping_interval = "20s"

  # A client that answers no ping for this long is gone: its stream is closed.
  # 200ms to 2h and longer than ping_interval, default "40s".
  # pong_timeout = "40s"

  # A client that sends no message for this long, not even keepalive, is closed;
  # it may connect again when it has something to say.
  # 1s to 24h, default "5m".
  # idle_timeout = "5m"

  # How fast a client may send audio on average, in times real time: clients send
  # what they have recorded before they were connected. Faster closes the stream.
  # 0 to 1000 times real time; 0 is no limit. Default 4.
  # audio_rate = 4

  # Audio that a client may send at once on top of that.
  # 1s to 24h, default "5m".
  # audio_burst = "5m"

  # Streams of one user at once. 0 to 1000000 streams; 0 is no limit. Default 16.
  # per_user = 16

  # Sessions with a stream at once, of all users. Clients beyond it are asked to
  # come back later. As many again may wait for a stream to resume them.
  # 1 to 1000000 sessions, default 10000.
  # sessions = 10000

  # Whether messages are compressed (permessage-deflate) for clients that ask for
  # it. It costs time, and audio gets no smaller.
  # true or false, default false.
  # compression = false
}

# Audio is held only for sessions with an app that was granted "audio".
audio {
  # Audio that may wait for the slowest such app, for each session. Beyond it
  # the oldest is dropped, counted and told to the client. A minute of 16 kHz
  # audio takes 1.9 MB.
  # 64KiB to 1GiB for each session, default "4MiB".
  # buffer = "4MiB"
}

# An app's work on a completed conversation is kept until it is done. What fails
# is tried again, and in the end becomes a dead letter: see "auricle jobs".
jobs {
  # How often it is tried, where another attempt may help. After a trap, spent
  # fuel or too much memory it is tried twice.
  # 1 to 20 attempts, default 5.
  # attempts = 5

  # The time from the first of these attempts to the last. The waits between
  # them grow fourfold each.
  # 1s to 24h, default "10m".
  # over = "10m"
}

# Invocations that failed are recorded, so that the app's author can run them
# again: auricle app run -replay. The recordings hold what was said.
replay {
  # Disk for recordings. The oldest go first. 0 records nothing.
  # 0B to 64GiB, default "64MiB".
  # keep = "64MiB"

  # Besides failures, record one invocation in so many. 0 records none.
  # 0 to 1e9 invocations, default 0.
  # one_in = 0
}

# How long what is done is kept. The oldest goes first, and is counted.
retention {
  # Completed conversations, with all that belongs to them.
  conversations {
    # Older ones are removed. 0s keeps them.
    # 0s to 87600h, default "0s".
    # age = "0s"

    # Their disk. 0 is no limit.
    # 0B to 65536GiB, default "32GiB".
    # size = "32GiB"
  }

  # What apps made of conversations.
  outputs {
    # Older ones are removed. 0s keeps them as long as their conversation.
    # 0s to 87600h, default "0s".
    # age = "0s"

    # Their disk. 0 is no limit.
    # 0B to 65536GiB, default "16GiB".
    # size = "16GiB"
  }

  # Work that was given up.
  dead_letters {
    # Older ones are removed. 0s keeps them.
    # 0s to 87600h, default "720h".
    # age = "720h"

    # Their disk. 0 is no limit.
    # 0B to 65536GiB, default "1GiB".
    # size = "1GiB"
  }
}

# Where conversations are kept: in data_dir, or in a NATS cluster with JetStream
# that several hosts share. Then any host goes on where another stopped.
store {
  nats {
    # The cluster's servers, such as ["nats://10.0.0.1:4222"]. Empty: none,
    # conversations are kept in data_dir. Default [].
    # urls = []

    # The credentials file (.creds), relative to this file's directory. Empty:
    # none. Default "".
    # credentials = ""

    # The certificates (PEM) that the cluster's are checked with, relative to
    # this file's directory. Empty: the system's. Default "".
    # ca = ""

    # How many servers keep each record. With 3, one server may be lost.
    # 1 to 5 replicas, default 3.
    # replicas = 3
  }
}

# Who may come in. Without keys and tokens here, everyone who reaches the host
# may do everything, so that only a loopback address may be listened on.
# docs/security.md says what each kind of credentials is for.
auth {
  # JWTs of one issuer. Their sub is the user, their scope claim what they allow.
  # Keys come from one of jwks_url, jwks_file and secret_file.
  jwt {
    # Who issues them: their iss, exactly. Required with keys. Default "".
    # issuer = ""

    # For whom: one of their aud, exactly, so that a token for another service
    # does not open this one. Required with keys. Default "".
    # audience = ""

    # The algorithms that are taken, of "HS256", "RS256", "ES256" and "EdDSA".
    # Empty: HS256 with a secret, the other three with a JWK set. Default [].
    # algorithms = []

    # The issuer's public keys, a JWK set (RFC 7517), relative to this file's
    # directory; read at the start and at a reload. Default "".
    # jwks_file = ""

    # Where the issuer publishes its public keys, https://. While it can't be
    # read the last keys stay in force. Default "".
    # jwks_url = ""

    # The secret of HS256, 32 bytes or more, relative to this file's directory.
    # Default "".
    # secret_file = ""

    # How far the issuer's clock may be from this host's.
    # 0s to 10m, default "30s".
    # leeway = "30s"

    # What a JWT without a scope claim allows, of "stream", "read" and "operate".
    # Default ["stream", "read"].
    # scopes = ["stream", "read"]
  }

  # The single-use tokens of POST /v1/tokens, with which browsers stream.
  tokens {
    # How long one may be used, at most. 1s to 10m, default "60s".
    # ttl = "60s"

    # How many of one user are out at once. 1 to 1000 tokens, default 16.
    # per_user = 16

    # How many are out at once, of all users. 1 to 1000000 tokens (1e6), default
    # 10000.
    # most = 10000
  }

  # One block for each static token: make one with "auricle token new". sha256
  # is its SHA-256 (required): the token itself is kept nowhere. uid is the one
  # user it is for; default: any. scopes (required) is what it allows, of
  # "stream", "read" and "operate".
  #
  # token "backend" {
  #   sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
  #   uid    = "ana"
  #   scopes = ["stream", "read"]
  # }
}

# One block for each app. Its name stands in outputs, logs and metrics: it
# begins with a lower-case letter and goes on with lower-case letters, digits,
# '-', '_' and '.'. This one says when a watched word is spoken.
app "keywords" {
  # The app's WebAssembly file, relative to this file's directory. Required,
  # unless there is a webhook block.
  module = "build/apps/keywords.wasm"

  # The SHA-256 of the module: 64 hexadecimal digits, as sha256sum prints them.
  # With it, the host does not start when the file is any other. Default: not
  # pinned.
  # sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

  # What the app may receive ("audio", "transcript", "conversation", "tools") and
  # do ("notify", "http", "storage"). It gets what it asks for and is granted here, nothing else.
  # `build/auricle app inspect FILE` says what it asks for, and why.
  # Default []: nothing.
  grant = ["transcript", "notify"]

  # The users (uid) whose conversations the app works on; "*" is everyone. What is
  # chosen for a single user at run time goes over it: "auricle users".
  # Default ["*"].
  users = ["*"]

  # How long the app's memory lives. "fresh": every event begins with nothing of
  # those before. "session": it is kept for each user's session, for an app whose
  # manifest asks for it; GET /v1/apps counts what that costs. Default "fresh".
  # state = "fresh"

  # The app's own settings, as its manifest describes them. Default: none.
  settings = {
    words = ["budget", "deadline"]
  }

  # In the place of module, grant and settings: an existing webhook app of Omi
  # (docs/webhooks.md). conversation is where each completed conversation is posted
  # to, transcript gets what is said as it is said, audio 16-bit mono PCM as it is
  # heard, in pieces of audio_every (100ms to 10s, default "4s"). Default of
  # each: not posted; one at least is there. The webhook may take
  # conversation_timeout (default "10s"), transcript_timeout (default "5s") and
  # audio_timeout (default "5s"), each 100ms to 1m. URLs are https://, or http://
  # for addresses inside.
  #
  # webhook {
  #   conversation         = "https://journal.example.com/memory"
  #   transcript           = "https://journal.example.com/live"
  #   audio                = "https://journal.example.com/audio"
  #   audio_every          = "4s"
  #   conversation_timeout = "10s"
  #   transcript_timeout   = "5s"
  #   audio_timeout        = "5s"
  # }

  # What one invocation of the app may use. A key left out takes what the app's
  # manifest says, otherwise the default.
  limits {
    # Instructions executed. 1 to 1000000000000000 units of fuel; default 50e6
    # for live events (audio, transcript), 1000e6 for completed conversations.
    fuel = 50e6

    # Time. 1ms to 10m; default "250ms" for live events, "5s" for completed
    # conversations.
    wall = "250ms"

    # Time for a completed conversation, in the place of wall: web services that
    # the app calls take part of it. 1ms to 10m; default: wall, where that is set,
    # else what the manifest says, else "5s".
    # conversation_wall = "20s"

    # Memory. 64KiB to 4GiB, default "64MiB".
    memory = "32MiB"
  }

  # How the app may call web services, where it asks for "http" and is granted
  # it (docs/http.md).
  # http {
  #   # The hosts, of those that its manifest names: "api.example.com",
  #   # "*.example.com", "http://10.0.0.5:8080". Default: all of those.
  #   hosts = ["api.example.com"]
  #
  #   # Addresses that are not public and may be reached all the same, where a
  #   # granted host's name leads there. Default []: none.
  #   private = ["10.0.0.0/8"]
  #
  #   # The largest body of a request and of an answer. 1KiB to 1MiB, default
  #   # "1MiB".
  #   max_request  = "64KiB"
  #   max_response = "256KiB"
  #
  #   # Time for one call, within the invocation's own. 1ms to 10m, default "10s".
  #   timeout = "5s"
  #
  #   # Calls under way at once: 1 to 4096 calls, default 8; and on average: 1 to
  #   # 1000000 calls a minute, default 600. What is beyond is refused.
  #   concurrency = 8
  #   rate        = 600
  #
  #   # What the host puts into requests, and the app never sees. Required: a
  #   # value, from the environment.
  #   header "Authorization" {
  #     value = env("KEYWORDS_KEY")
  #
  #     # The hosts whose requests get it. Default: every granted one's.
  #     hosts = ["api.example.com"]
  #   }
  #
  #   # Signs requests, so that the service can tell who calls. Default: not
  #   # signed; with a secret, requests to every granted host, or to hosts.
  #   sign {
  #     secret = env("KEYWORDS_SIGNING_SECRET")
  #     hosts  = ["api.example.com"]
  #   }
  # }
}

# Says how loud each second of audio is, and whether someone speaks.
app "loudness" {
  module = "build/apps/loudness.wasm"
  grant  = ["audio"]
}

# Makes a title, an overview and action items of each completed conversation.
app "minutes" {
  module = "build/apps/minutes.wasm"
  grant  = ["conversation"]
}

# Misbehaves on purpose, to show that it harms only itself: it loops forever,
# and is stopped each time. Remove it when you have seen it.
app "runaway" {
  module = "build/apps/runaway.wasm"
  grant  = ["transcript"]
  settings = {
    mode = "loop"
  }

  limits {
    fuel = 20e6
  }
}
