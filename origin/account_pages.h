#pragma once

// The pages of accounts as HTML: no script, nothing from elsewhere, forms that work in any browser.
// Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "origin/caller.h"
#include "storage/metadata.h"
#include "storage/session_store.h"

namespace nearside::origin {

/// Where the pages are; a site's and what belongs to it below kSitesPage.
inline constexpr std::string_view kAccountPage = "/account";
inline constexpr std::string_view kSignInPage = "/account/sign-in";
inline constexpr std::string_view kSignUpPage = "/account/sign-up";
inline constexpr std::string_view kSignOutPage = "/account/sign-out";
inline constexpr std::string_view kSignOutEverywherePage = "/account/sign-out-everywhere";
inline constexpr std::string_view kPasswordPage = "/account/password";
inline constexpr std::string_view kSitesPage = "/account/sites/";
inline constexpr std::string_view kStylePage = "/account/style.css";

/// What a form shows again when it was refused, and why.
struct FormView {
  std::string form_token;
  std::string name;      ///< of the account
  std::string problem;   ///< "": none yet
  std::string notice;    ///< good news
  bool sign_up = false;  ///< people may make accounts
};

std::string SignInHtml(const FormView& view);
std::string SignUpHtml(const FormView& view);
std::string PasswordHtml(const FormView& view);

struct SiteLine {
  storage::Site site;
  Rights rights;
};

struct HomeView {
  std::string form_token;
  storage::Account account;
  std::vector<SiteLine> sites;
  std::vector<storage::Session> sessions;
  Key256 current;  ///< the session that asks
  std::string notice;
};
std::string HomeHtml(const HomeView& view);

struct TokenLine {
  std::string id;
  std::string name;
  std::string scopes;
  std::string state;
  WallTime expires;    ///< 0: never
  WallTime last_used;  ///< 0: never
};

/// A token that was made a moment ago: its secrets, shown this once.
struct MadeToken {
  std::string name;
  std::string token;
  std::string s3_id;
  std::string s3_secret;
};

struct SiteView {
  std::string form_token;
  storage::Account account;
  storage::Site site;
  Rights rights;
  std::vector<storage::Release> releases;
  std::vector<TokenLine> tokens;
  std::optional<MadeToken> made;
  std::string problem;
  std::string notice;
};
std::string SiteHtml(const SiteView& view);

/// A page that says one thing, and where to go on.
struct MessageView {
  std::string title;
  std::string text;
  std::string link;  ///< a path; "": none
  std::string link_text;
};
std::string MessageHtml(const MessageView& view);

/// What all pages look like.
std::string_view AccountStyle();

}  // namespace nearside::origin
