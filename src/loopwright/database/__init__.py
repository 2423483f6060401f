"""What outlives the server: jobs, and what came of them, in SQLite or Postgres."""
