app "notes" {
  module = "notes.wasm"
  state  = true
}
