# Does what standard input asks for, one job a line, with the functions of research.R, and tells on standard
# output what crosses the wire. After each exchange it waits for a line: "stop" ends the job.

here <- commandArgs(trailingOnly = TRUE)[[1]]
suppressPackageStartupMessages(source(file.path(here, "research.R")))
input <- file("stdin", "r")

tell <- function(...) {
  cat(toJSON(list(...), auto_unbox = TRUE, digits = NA, null = "null"), "\n", sep = "")
  flush(stdout())
}

no_sleep <- function(seconds) tell(kind = "sleep", seconds = seconds)
pause <- no_sleep
assignInNamespace("sys_sleep", function(seconds) if (seconds > 0) no_sleep(seconds), "httr2")

as_text <- function(bytes) {
  text <- rawToChar(bytes)
  Encoding(text) <- "UTF-8"
  text
}

perform_once <- httr2:::req_perform1
assignInNamespace("req_perform1", function(req, ...) {
  resp <- perform_once(req, ...)
  tell(
    kind = "exchange", url = req$url, status = resp$status_code, body = as_text(resp$body),
    authorization = as.character(req$headers$Authorization), headers = as.list(unlist(resp$headers))
  )
  if (!identical(readLines(input, 1), "go")) stop("told to stop")
  resp
}, "httr2")

# The same records with their keys in one order, which the platform varies.
in_order <- function(value) {
  if (!is.list(value)) return(value)
  value <- lapply(value, in_order)
  if (is.null(names(value))) value else value[order(names(value), method = "radix")]
}

while (length(line <- readLines(input, 1))) {
  job <- fromJSON(line, simplifyVector = FALSE, bigint_as_char = TRUE)
  tryCatch({
    if (is.null(job$token)) {
      api <- sign_in(job$base_url, job$client_key, job$client_secret)
    } else {
      api <- list2env(job[c("base_url", "client_key", "client_secret", "token")])
    }
    got <- if (is.null(job$endpoint)) {
      api$token
    } else if (identical(job$endpoint, "validation_task/create")) {
      check_ids(api, job$body$ids, job$body$category)
    } else {
      crawl(api, job$endpoint, job$body, job$size)
    }
    # Records in R's own shape; a digest of them, since writing thousands as JSON again takes seconds.
    tell(kind = "done", got = if (is.null(job$endpoint)) got else list(length(got), rlang::hash(in_order(got))))
  }, error = function(raised) tell(kind = "done", raised = class(raised)[[1]]))
}
