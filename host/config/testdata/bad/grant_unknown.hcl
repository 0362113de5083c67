app "a" {
  module = "a.wasm"
  grant = [
    "transcript",
    "notfy",
    "camera",
  ]
}
