app "both" {
  module   = "both.wasm"
  grant    = ["transcript"]
  state    = "session"
  settings = { words = [] }

  webhook {
    conversation = "https://a.example.com/hook"
  }

  limits {
    wall = "1s"
  }
}

app "none" {
  webhook { audio_every = "1s" }
}

app "empty" {
  webhook {}
}

app "bad" {
  webhook {
    conversation       = "http://a.example.com/hook"
    transcript         = "https://ana:secret@a.example.com/hook"
    audio              = "a.example.com/hook"
    audio_every        = "20s"
    transcript_timeout = 5
    url                = "https://a.example.com/hook"
  }
}

app "query" {
  webhook {
    conversation = "https://a.example.com/hook?uid=ana"
    transcript   = "https://a.example.com/hook#live"
    audio        = "ftp://a.example.com/hook"
  }
}

app "garbled" {
  webhook {
    conversation = "https://a.example.com/hook?a=%zz"
    transcript   = ""
    audio        = "https://"
  }
}
