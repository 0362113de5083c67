app "journal" {
  users = ["ana"]

  webhook {
    conversation         = "https://journal.example.com/memory?key=k%20"
    transcript           = "https://journal.example.com:8443/live"
    audio                = "https://audio.example.com"
    audio_every          = "10s"
    conversation_timeout = "1m"
    transcript_timeout   = "2500ms"
    audio_timeout        = "100ms"
  }

  limits { memory = "32MiB" }
}

app "live" {
  webhook { transcript = "https://journal.example.com/live" }
}
