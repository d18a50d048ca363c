#pragma once

// The pages where people sign in and see their sites: /account of the hosts in accounts.hosts.
// What a page changes of a site is a request to the API with the account's rights, so one set of
// checks and records holds for both.

#include <atomic>
#include <string>
#include <string_view>

#include "http/message.h"
#include "net/address_ranges.h"
#include "origin/accounts.h"
#include "origin/answer.h"
#include "origin/api.h"
#include "origin/asker.h"
#include "origin/cookie.h"
#include "origin/form.h"
#include "origin/node.h"
#include "origin/request_body.h"

namespace nearside::origin {

/// Any thread; blocks on disk, on the request's body and on hashing.
class AccountService {
 public:
  explicit AccountService(Node& node);

  /// Whether the host is one of the pages'.
  bool Serves(const http::RequestHead& head) const;
  /// `peer`: the address that the connection comes from. No answer may be shared or stored, but the
  /// style sheet's.
  Answer Handle(const http::RequestHead& head, std::string_view peer, RequestBody& body);

 private:
  /// A request as far as every page wants to know it.
  struct Page {
    const http::RequestHead& head;
    Visitor visitor;
    std::optional<SignedIn> who;
    std::string form_cookie;  ///< of those who have not signed in; made if there was none
    bool new_form_cookie = false;
    Form form;  ///< of a POST
    /// The token of the page's forms.
    std::string form_token() const;
  };

  Answer Serve(const http::RequestHead& head, const Asker& asker, RequestBody& body);
  Answer Dispatch(Page& page);
  Status ReadForm(Page* page, RequestBody& body, bool https);
  Answer ServeSite(Page& page, std::string_view rest);

  Answer GetHome(const Page& page, std::string notice = "");
  Answer GetSignIn(const Page& page, int status = 200, std::string problem = "");
  Answer PostSignIn(Page& page);
  Answer GetSignUp(const Page& page, int status = 200, std::string problem = "");
  Answer PostSignUp(Page& page);
  Answer PostSignOut(const Page& page);
  Answer PostSignOutEverywhere(const Page& page);
  Answer GetPassword(const Page& page, int status = 200, std::string problem = "");
  Answer PostPassword(const Page& page);
  struct SiteNews;
  Answer GetSite(const Page& page, const std::string& site, SiteNews news);
  Answer PostActivate(const Page& page, const std::string& site);
  Answer PostToken(const Page& page, const std::string& site);
  Answer PostRevoke(const Page& page, const std::string& site);

  /// What the API answers to the account.
  Answer Ask(const Page& page, const std::string& site, std::string method, std::string target,
             const std::string& content = "");
  Answer HtmlAnswer(const Page& page, int status, std::string html) const;
  Answer SessionAnswer(const std::string& session_id) const;
  Answer RefusalAnswer(const Error& error, milliseconds wait) const;

  Node& node_;
  Api api_;
  const CookieStyle cookies_;
  net::AddressRanges trusted_;
  std::atomic<size_t> forms_being_read_{0};
};

}  // namespace nearside::origin
