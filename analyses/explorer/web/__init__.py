"""The explorer's page: what stands where, what it does, and the server it comes from."""
