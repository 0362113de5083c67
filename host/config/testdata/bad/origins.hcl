stream {
  origins = ["*", "https://app.example.com/",
             "https://*.example.com", "https://app.example.com"]
}
