app "a" {
  module = "a.wasm"
}

app "a" {
  module = "b.wasm"
}
