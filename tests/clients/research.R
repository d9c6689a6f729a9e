# The TikTok Research API from R, with httr2 and jsonlite alone.
#
#   source("research.R")
#   api <- sign_in("https://bursar.example.edu", client_key, client_secret)
#   followers <- crawl(api, "user/followers", list(username = "somebody"), size = 100)
#
# Integers beyond 2^53 come as text, since R's numbers would round them; ids can be sent as text, too.

library(httr2)
library(jsonlite)

most_tries <- 4
pause <- Sys.sleep

sign_in <- function(base_url, client_key, client_secret) {
  api <- new.env()
  api$base_url <- base_url
  api$client_key <- client_key
  api$client_secret <- client_secret
  renew(api)
}

renew <- function(api) {
  answer <- request(paste0(api$base_url, "/v2/oauth/token/")) |>
    req_body_form(
      client_key = api$client_key,
      client_secret = api$client_secret,
      grant_type = "client_credentials"
    ) |>
    req_perform()
  api$token <- resp_body_json(answer)$access_token
  invisible(api)
}

# What the API says went wrong; an empty list where it says nothing, as a proxy's HTML page does.
error_of <- function(answer) {
  tryCatch(as.list(resp_body_json(answer)$error), error = function(unreadable) list())
}

# A short throttle, a fault of the platform and a search id that is not ripe yet pass by themselves; a used-up
# day and a wrong question do not.
is_transient <- function(answer) {
  error <- error_of(answer)
  switch(as.character(resp_status(answer)),
    "429" = identical(error$code, "rate_limit_exceeded"),
    "400" = grepl("Search Id [0-9]+ is invalid|Invalid count or cursor", paste(error$message)),
    resp_status(answer) >= 500
  )
}

# One answer. A token lasts two hours: when it has ended, a new one is asked for, once.
perform <- function(api, endpoint, complete, may_renew = TRUE) {
  asked <- request(paste0(api$base_url, "/v2/research/", endpoint, "/")) |>
    req_headers(Authorization = paste("Bearer", api$token)) |>
    req_retry(max_tries = most_tries, is_transient = is_transient) |>
    req_error(body = function(answer) paste(error_of(answer)$message))
  tryCatch(
    req_perform(complete(asked)),
    httr2_http_401 = function(refused) {
      if (!may_renew) stop(refused)
      renew(api)
      perform(api, endpoint, complete, may_renew = FALSE)
    }
  )
}

ask <- function(api, endpoint, body, fields = NULL) {
  text <- toJSON(body, auto_unbox = TRUE, digits = NA, null = "null")
  answer <- perform(api, endpoint, function(asked) {
    if (length(fields)) asked <- req_url_query(asked, fields = paste(fields, collapse = ","))
    req_body_raw(asked, text, type = "application/json")
  })
  fromJSON(resp_body_string(answer), simplifyVector = FALSE, bigint_as_char = TRUE)$data
}

# Every record, to the last page. The body's page size goes by another name for shops.
crawl <- function(api, endpoint, body, size = NULL) {
  shape <- shapes[[endpoint]]
  if (is.null(shape$records)) return(ask(api, endpoint, body, shape$fields))
  size_key <- if (is.null(shape$size)) "max_count" else shape$size
  body[[size_key]] <- size
  found <- list()
  repeat {
    data <- ask(api, endpoint, body, shape$fields)
    page <- data[[shape$records]]
    found <- c(found, page)
    if (identical(size_key, "page_size")) {
      if (length(page) < size) return(found)
      body$page_start <- (if (is.null(body$page_start)) 1 else body$page_start) + 1
    } else {
      if (!isTRUE(data$has_more)) return(found)
      body$cursor <- data$cursor
      body$search_id <- data$search_id
    }
  }
}

# Which of the ids, of videos or comments, are still available.
check_ids <- function(api, ids, category = "video") {
  file <- tempfile(fileext = ".txt")
  on.exit(unlink(file))
  writeLines(as.character(ids), file)
  begun <- perform(api, "validation_task/create", function(asked) {
    req_body_multipart(asked, file_data = curl::form_file(file, type = "text/plain"), category = category)
  })
  # Read from the text, since jsonlite rounds integers beyond 2^63 even with bigint_as_char.
  task <- list(task_id = sub('.*"task_id": *"?([0-9]+).*', "\\1", resp_body_string(begun)))
  while (identical(status <- ask(api, "validation_task_status/get", task)$task_status, "Processing")) pause(10)
  if (!identical(status, "Completed")) stop("the task ended as ", status)
  text <- toJSON(task, auto_unbox = TRUE)
  result <- perform(api, "validation_task/download", function(asked) {
    req_body_raw(asked, text, type = "application/json")
  })
  strsplit(resp_body_string(result), "\n")[[1]]
}

listed <- c(
  "id", "create_time", "username", "region_code", "video_description", "music_id", "like_count",
  "comment_count", "share_count", "view_count", "hashtag_names", "video_duration", "favorites_count"
)

shapes <- list(
  "video/query" = list(records = "videos", fields = c(listed, "effect_ids", "playlist_id", "voice_to_text")),
  "video/comment/list" = list(
    records = "comments",
    fields = c("id", "video_id", "text", "like_count", "reply_count", "parent_comment_id", "create_time")
  ),
  "user/info" = list(
    fields = c(
      "display_name", "bio_description", "avatar_url", "is_verified", "follower_count", "following_count",
      "likes_count", "video_count", "bio_url"
    )
  ),
  "user/liked_videos" = list(records = "user_liked_videos", fields = listed),
  "user/pinned_videos" = list(records = "pinned_videos_list", fields = listed),
  "user/reposted_videos" = list(records = "reposted_videos", fields = listed),
  "user/followers" = list(records = "user_followers"),
  "user/following" = list(records = "user_following"),
  "playlist/info" = list(records = "playlist_video_ids"),
  "tts/shop" = list(
    records = "shop_data", size = "limit",
    fields = c("shop_name", "shop_rating", "shop_review_count", "item_sold_count", "shop_id")
  ),
  "tts/product" = list(
    records = "product_data", size = "page_size",
    fields = c("product_id", "product_name", "product_price", "product_sold_count", "product_rating")
  ),
  "tts/review" = list(
    records = "review_data", size = "page_size",
    fields = c("product_name", "review_text", "review_like_count", "create_time", "review_rating")
  ),
  "adlib/ad/query" = list(
    records = "ads",
    fields = c("ad.id", "ad.first_shown_date", "ad.last_shown_date", "ad.status", "ad.reach",
      "advertiser.business_id", "advertiser.business_name")
  ),
  "adlib/ad/detail" = list(
    fields = c("ad.id", "ad.title", "ad.external_url", "advertiser.business_id", "ad_group.targeting_info")
  ),
  "adlib/ad/report" = list(fields = "count_time_series_by_country"),
  "adlib/advertiser/query" = list(
    records = "advertisers", fields = c("business_id", "business_name", "country_code")
  ),
  "adlib/commercial_content/query" = list(
    records = "commercial_contents", fields = c("id", "create_timestamp", "brand_names", "creator", "videos")
  )
)
