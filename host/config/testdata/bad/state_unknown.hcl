app "notes" {
  module = "notes.wasm"
  state  = "sessions"
}
