"""What needs a large GPU: one command that resumes, see README.md."""
