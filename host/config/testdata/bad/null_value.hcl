drain = null
