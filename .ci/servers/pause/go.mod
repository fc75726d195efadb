module servers/pause

go 1.25.0
