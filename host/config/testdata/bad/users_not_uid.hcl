app "a" {
  module = "a.wasm"
  users  = ["anna", "", "two words", "zoë", "anna"]
}
