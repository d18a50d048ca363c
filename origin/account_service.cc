#include "origin/account_service.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <variant>

#include "http/uri.h"
#include "origin/account_pages.h"
#include "origin/audit.h"
#include "origin/forgery.h"
#include "origin/manifest.h"
#include "origin/visitor_service.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

constexpr std::string_view kSessionCookie = "nearside-session";
constexpr std::string_view kFormCookie = "nearside-form";
constexpr std::string_view kBrowserCookie = "nearside-browser";
constexpr seconds kBrowserKnownFor = std::chrono::hours(24 * 365);
constexpr size_t kReleasesShown = 50;

// No script, nothing from elsewhere, no page around ours, forms to us alone.
constexpr std::string_view kPolicy =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'";

using Json = nlohmann::ordered_json;

void AddSafeFields(Answer* answer) {
  answer->fields.Add("content-security-policy", kPolicy);
  answer->fields.Add("x-content-type-options", "nosniff");
  answer->fields.Add("x-frame-options", "DENY");
  // Not "no-referrer": with it browsers send forms with "Origin: null".
  answer->fields.Add("referrer-policy", "same-origin");
  answer->fields.Add("cross-origin-opener-policy", "same-origin");
  answer->fields.Add("cross-origin-resource-policy", "same-origin");
}

/// For whoever asks, and for nobody else.
void AddPrivate(Answer* answer) {
  answer->fields.Set("cache-control", "no-store, private");
  answer->fields.Set("vary", "cookie");
}

Answer Redirect(std::string_view path) {
  Answer answer = TextAnswer(303, "");
  answer.body.clear();
  answer.fields.Remove("content-type");
  answer.fields.Add("location", path);
  AddPrivate(&answer);
  AddSafeFields(&answer);
  return answer;
}

Answer PlainHtml(int status, std::string html) {
  Answer answer = TextAnswer(status, html);
  answer.fields.Set("content-type", "text/html; charset=utf-8");
  AddPrivate(&answer);
  AddSafeFields(&answer);
  return answer;
}

Answer MessageAnswer(int status, std::string title, std::string text) {
  return PlainHtml(status, MessageHtml({.title = std::move(title),
                                        .text = std::move(text),
                                        .link = std::string(kAccountPage),
                                        .link_text = "Your account"}));
}

Answer NoSuchPage() { return MessageAnswer(404, "Not found", "There is no such page."); }

Answer NoSuchMethod(std::string_view methods) {
  Answer answer =
      MessageAnswer(405, "Not possible", "This page has " + std::string(methods) + " only.");
  answer.fields.Add("allow", methods);
  return answer;
}

Answer StyleAnswer() {
  Answer answer = TextAnswer(200, AccountStyle());
  answer.fields.Set("content-type", "text/css; charset=utf-8");
  answer.fields.Add("cache-control", "public, max-age=300");
  AddSafeFields(&answer);
  return answer;
}

/// Forms of those who have not signed in, or do so as somebody else.
bool IsForStrangers(std::string_view path) { return path == kSignInPage || path == kSignUpPage; }

bool Reads(std::string_view method) { return method == "GET" || method == "HEAD"; }

std::string TextOf(const Json& json, const char* key) {
  return json.is_object() && json.contains(key) && json[key].is_string()
             ? json[key].get<std::string>()
             : "";
}

WallTime TimeOf(const Json& json, const char* key) {
  return FromUnixMillis(json.contains(key) && json[key].is_number() ? json[key].get<int64_t>() : 0);
}

Json JsonOf(const Answer& answer) {
  std::string text;
  for (const BodyPiece& piece : answer.body) text += piece.text;
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json : Json::object();
}

/// What went wrong, in a person's words.
std::string ProblemOf(const Answer& answer) {
  const std::string detail = TextOf(JsonOf(answer), "detail");
  return detail.empty() ? "That could not be done." : detail;
}

TokenLine LineOf(const Json& token) {
  std::string scopes;
  for (const Json& scope : token["scopes"]) {
    scopes += (scopes.empty() ? "" : ", ") + scope.get<std::string>();
  }
  return {.id = TextOf(token, "id"),
          .name = TextOf(token, "name"),
          .scopes = std::move(scopes),
          .state = TextOf(token, "state"),
          .expires = TimeOf(token, "expires"),
          .last_used = TimeOf(token, "last_used")};
}

}  // namespace

/// What a site's page says of what was just done.
struct AccountService::SiteNews {
  int status = 200;
  std::string problem;
  std::string notice;
  std::optional<MadeToken> made;
};

std::string AccountService::Page::form_token() const {
  return FormTokenOf(who ? who->id : form_cookie);
}

AccountService::AccountService(Node& node)
    : node_(node), api_(node), cookies_{node.settings.accounts.secure} {
  // Checked with the settings.
  auto trusted = net::AddressRanges::Parse(node.settings.accounts.trusted_proxies);
  if (trusted) trusted_ = std::move(*trusted);
}

bool AccountService::Serves(const http::RequestHead& head) const {
  const std::vector<std::string>& hosts = node_.settings.accounts.hosts;
  return std::find(hosts.begin(), hosts.end(), head.host()) != hosts.end();
}

Answer AccountService::Handle(const http::RequestHead& head, std::string_view peer,
                              RequestBody& body) {
  const std::string_view path = head.path();
  if (path == "/healthz" && Reads(head.method)) return HealthAnswer(node_);
  if (path == kStylePage && Reads(head.method)) return StyleAnswer();
  const Asker asker = AskerOf(head, peer, trusted_);
  if (node_.settings.accounts.secure && !asker.https) {
    return MessageAnswer(403, "Only by https",
                         "This page is for https: what you type must not go in clear.");
  }
  Answer answer = Serve(head, asker, body);
  const auto hsts = std::chrono::duration_cast<seconds>(node_.settings.accounts.hsts);
  if (node_.settings.accounts.secure && hsts > seconds(0)) {
    answer.fields.Set("strict-transport-security", "max-age=" + std::to_string(hsts.count()));
  }
  return answer;
}

Answer AccountService::Serve(const http::RequestHead& head, const Asker& asker, RequestBody& body) {
  Page page{.head = head,
            .visitor = {asker.address, std::string(head.fields.Get("user-agent").value_or("")),
                        CookieOf(head.fields, cookies_.NameOf(kBrowserCookie))},
            .who = std::nullopt,
            .form_cookie = CookieOf(head.fields, cookies_.NameOf(kFormCookie)),
            .new_form_cookie = false,
            .form = {}};
  const std::string session_id = CookieOf(head.fields, cookies_.NameOf(kSessionCookie));
  Result<std::optional<SignedIn>> who = node_.accounts.Find(session_id);
  if (!who) return RefusalAnswer(who.error(), milliseconds(0));
  page.who = std::move(*who);
  if (!storage::IsSessionId(page.form_cookie)) {
    page.form_cookie = storage::RandomSessionId();
    page.new_form_cookie = true;
  }
  // Whose session has ended changes nothing: Dispatch leads there to sign in again.
  if (head.method == "POST" && (page.who || IsForStrangers(head.path()))) {
    if (Status read = ReadForm(&page, body, asker.https); !read) {
      return RefusalAnswer(read.error(), milliseconds(0));
    }
  }
  return Dispatch(page);
}

namespace {

/// One more while it lives.
class Counted {
 public:
  explicit Counted(std::atomic<size_t>* counter) : counter_(counter), count_(++*counter) {}
  ~Counted() { --*counter_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  /// With this one.
  size_t count() const { return count_; }

 private:
  std::atomic<size_t>* const counter_;
  const size_t count_;
};

}  // namespace

/// Refuses what another site's page has made the browser send.
Status AccountService::ReadForm(Page* page, RequestBody& body, bool https) {
  const auto forged = [&](std::string_view how) {
    Log(Level::kWarning, "form_refused",
        {{"client", page->visitor.address},
         {"target", page->head.path().substr(0, 200)},
         {"reason", how}});
    return Fail(Fault::kClient, "form_refused",
                "This form is too old, or did not come from here. Open the page again.");
  };
  if (!ComesFromOurPages(page->head, https)) return forged("other_origin");
  if (!IsForm(page->head.fields)) {
    return Fail(Fault::kClient, "unsupported_type", "Only forms are taken here.");
  }
  // Nothing that comes can be right.
  if (page->new_form_cookie && !page->who) return forged("no_cookie");
  // Who sends slowly, or not at all, is not to hold the threads that pages need as well.
  const size_t most = std::max<size_t>(1, static_cast<size_t>(node_.settings.threads.accounts) / 2);
  const Counted reading(&forms_being_read_);
  if (reading.count() > most) {
    return Fail(Fault::kSelf, "forms_busy", "Too many forms are on their way. Try again.");
  }
  Result<std::string> text = ReadWhole(body, kFormBytes);
  if (!text) return unexpected(std::move(text.error()));
  Result<Form> form = Form::Parse(*text);
  if (!form) return unexpected(std::move(form.error()));
  const std::string_view shown = form->Get("form_token");
  // Who was signed in when the page was opened, or was not: forms to sign in are of both.
  const bool of_session = page->who && IsFormToken(shown, page->who->id);
  const bool of_form = !page->new_form_cookie && IsFormToken(shown, page->form_cookie);
  if (!of_session && !of_form) return forged("token");
  // What somebody does who has signed in is theirs by the session's token alone.
  if (page->who && !of_session && !IsForStrangers(page->head.path())) return forged("session");
  page->form = std::move(*form);
  return {};
}

Answer AccountService::Dispatch(Page& page) {
  const std::string_view path = page.head.path();
  const bool reads = Reads(page.head.method);
  const bool posts = page.head.method == "POST";
  if (path == "/") return reads ? Redirect(kAccountPage) : NoSuchMethod("GET, HEAD");
  const bool is_sign_up = path == kSignUpPage;
  if (path == kSignInPage || is_sign_up) {
    if (is_sign_up && !node_.accounts.sign_up_open()) return NoSuchPage();
    if (reads) return is_sign_up ? GetSignUp(page) : GetSignIn(page);
    if (!posts) return NoSuchMethod("GET, HEAD, POST");
    return is_sign_up ? PostSignUp(page) : PostSignIn(page);
  }
  const bool is_site = path.starts_with(kSitesPage);
  if (path != kAccountPage && path != kSignOutPage && path != kSignOutEverywherePage &&
      path != kPasswordPage && !is_site) {
    return NoSuchPage();
  }
  if (!reads && !posts) return NoSuchMethod("GET, HEAD, POST");
  if (!page.who) return Redirect(kSignInPage);
  if (is_site) return ServeSite(page, path.substr(kSitesPage.size()));
  if (path == kPasswordPage) return reads ? GetPassword(page) : PostPassword(page);
  if (path == kAccountPage) return reads ? GetHome(page) : NoSuchMethod("GET, HEAD");
  if (reads) return NoSuchMethod("POST");
  return path == kSignOutPage ? PostSignOut(page) : PostSignOutEverywhere(page);
}

/// A site that the account may not see, and one that is not there, are the same.
Answer AccountService::ServeSite(Page& page, std::string_view rest) {
  const std::string_view segment = rest.substr(0, rest.find('/'));
  const std::string_view action = rest.substr(segment.size());
  const std::optional<std::string> site = http::PercentDecode(segment);
  if (!site || !CheckSiteName(*site) || !RightsOf(page.who->account, *site).Has(Right::kRead)) {
    return NoSuchPage();
  }
  if (action.empty()) {
    return Reads(page.head.method) ? GetSite(page, *site, {}) : NoSuchMethod("GET, HEAD");
  }
  if (action != "/activate" && action != "/tokens" && action != "/tokens/revoke") {
    return NoSuchPage();
  }
  if (page.head.method != "POST") return NoSuchMethod("POST");
  if (action == "/activate") return PostActivate(page, *site);
  return action == "/tokens" ? PostToken(page, *site) : PostRevoke(page, *site);
}

Answer AccountService::HtmlAnswer(const Page& page, int status, std::string html) const {
  Answer answer = PlainHtml(status, std::move(html));
  if (!page.who && page.new_form_cookie) {
    answer.fields.Add("set-cookie", cookies_.Set(kFormCookie, page.form_cookie, seconds(0)));
  }
  return answer;
}

/// Signed in from now on.
Answer AccountService::SessionAnswer(const std::string& session_id) const {
  Answer answer = Redirect(kAccountPage);
  const auto life = std::chrono::duration_cast<seconds>(node_.settings.accounts.session_life);
  answer.fields.Add("set-cookie", cookies_.Set(kSessionCookie, session_id, life));
  // Without it strangers can lock this browser out for a while, no more.
  if (const Result<std::string> mark = node_.accounts.BrowserMark(session_id); mark) {
    answer.fields.Add("set-cookie", cookies_.Set(kBrowserCookie, *mark, kBrowserKnownFor));
  }
  return answer;
}

Answer AccountService::RefusalAnswer(const Error& error, milliseconds wait) const {
  const int status = StatusOfError(error);
  if (status >= 500) {
    Log(status == 503 ? Level::kWarning : Level::kError, "account_page_failed",
        {{"error", error.ToString()}});
  }
  std::string text = error.fault == Fault::kClient
                         ? error.message
                         : "This cannot be answered now. Try again in a moment.";
  Answer answer = MessageAnswer(status, std::string(http::ReasonPhrase(status)), std::move(text));
  answer.reason = error.reason;
  if (status == 503 || status == 429) {
    const auto whole = std::max<int64_t>(1, std::chrono::ceil<seconds>(wait).count());
    answer.fields.Add("retry-after", std::to_string(whole));
  }
  return answer;
}

Answer AccountService::GetHome(const Page& page, std::string notice) {
  HomeView view;
  view.form_token = page.form_token();
  view.account = page.who->account;
  view.current = page.who->session.key;
  view.notice = std::move(notice);
  Result<std::vector<storage::Site>> sites = node_.metadata->Sites();
  if (!sites) return RefusalAnswer(sites.error(), milliseconds(0));
  for (storage::Site& site : *sites) {
    const Rights rights = RightsOf(view.account, site.name);
    if (rights.Has(Right::kRead)) view.sites.push_back({std::move(site), rights});
  }
  Result<std::vector<storage::Session>> sessions = node_.accounts.SessionsOf(view.account);
  if (!sessions) return RefusalAnswer(sessions.error(), milliseconds(0));
  view.sessions = std::move(*sessions);
  return HtmlAnswer(page, 200, HomeHtml(view));
}

Answer AccountService::GetSignIn(const Page& page, int status, std::string problem) {
  if (page.who && Reads(page.head.method)) return Redirect(kAccountPage);
  FormView view;
  view.form_token = page.form_token();
  view.name = page.form.Get("name");
  view.problem = std::move(problem);
  view.sign_up = node_.accounts.sign_up_open();
  return HtmlAnswer(page, status, SignInHtml(view));
}

Answer AccountService::PostSignIn(Page& page) {
  const Credentials shown{page.form.Get("name"), page.form.Get("password")};
  Result<std::string> id = node_.accounts.SignIn(shown, page.visitor);
  if (id) {
    // Whoever was signed in here is so no longer; a session never goes on under another name.
    if (page.who) (void)node_.accounts.SignOut(*page.who);
    return SessionAnswer(*id);
  }
  if (id.error().reason == "wrong_password") {
    return GetSignIn(page, 403, "Name or password is wrong.");
  }
  return RefusalAnswer(id.error(), node_.accounts.LockedOutFor(shown.name, page.visitor));
}

Answer AccountService::GetSignUp(const Page& page, int status, std::string problem) {
  if (page.who && Reads(page.head.method)) return Redirect(kAccountPage);
  FormView view;
  view.form_token = page.form_token();
  view.name = page.form.Get("name");
  view.problem = std::move(problem);
  return HtmlAnswer(page, status, SignUpHtml(view));
}

Answer AccountService::PostSignUp(Page& page) {
  const Credentials wanted{page.form.Get("name"), page.form.Get("new_password")};
  Result<std::string> id = node_.accounts.SignUp(wanted, page.visitor);
  if (id) {
    if (page.who) (void)node_.accounts.SignOut(*page.who);
    return SessionAnswer(*id);
  }
  const std::string& reason = id.error().reason;
  if (reason == "bad_password" || reason == "bad_account_name" || reason == "account_exists") {
    return GetSignUp(page, StatusOfError(id.error()), id.error().message);
  }
  return RefusalAnswer(id.error(), node_.accounts.LockedOutFor(wanted.name, page.visitor));
}

Answer AccountService::PostSignOut(const Page& page) {
  if (Status out = node_.accounts.SignOut(*page.who); !out) {
    return RefusalAnswer(out.error(), milliseconds(0));
  }
  Answer answer = Redirect(kSignInPage);
  answer.fields.Add("set-cookie", cookies_.Clear(kSessionCookie));
  return answer;
}

Answer AccountService::PostSignOutEverywhere(const Page& page) {
  const Caller caller = CallerOf(page.who->account, "");
  const Deed deed{.action = "account_signed_out_everywhere", .site = "", .detail = "{}"};
  Status out = node_.accounts.SignOutEverywhere(page.who->account,
                                                RecordOf(caller, page.visitor.address, deed));
  if (!out) return RefusalAnswer(out.error(), milliseconds(0));
  Answer answer = Redirect(kSignInPage);
  answer.fields.Add("set-cookie", cookies_.Clear(kSessionCookie));
  return answer;
}

Answer AccountService::GetPassword(const Page& page, int status, std::string problem) {
  FormView view;
  view.form_token = page.form_token();
  view.name = page.who->account.name;
  view.problem = std::move(problem);
  return HtmlAnswer(page, status, PasswordHtml(view));
}

Answer AccountService::PostPassword(const Page& page) {
  Result<std::string> id = node_.accounts.ChangePassword(
      *page.who, page.form.Get("password"), page.form.Get("new_password"), page.visitor);
  if (id) return SessionAnswer(*id);
  const std::string& reason = id.error().reason;
  if (reason == "wrong_password") {
    return GetPassword(page, 403, "The present password is wrong.");
  }
  if (reason == "bad_password") {
    return GetPassword(page, StatusOfError(id.error()), id.error().message);
  }
  if (reason == "not_signed_in") {
    Answer answer = PlainHtml(200, MessageHtml({.title = "Password changed",
                                                .text = "Sign in with the new one.",
                                                .link = std::string(kSignInPage),
                                                .link_text = "Sign in"}));
    answer.fields.Add("set-cookie", cookies_.Clear(kSessionCookie));
    return answer;
  }
  return RefusalAnswer(
      id.error(), node_.accounts.LockedOutFor(page.who->account.name, page.visitor, &*page.who));
}

Answer AccountService::Ask(const Page& page, const std::string& site, std::string method,
                           std::string target, const std::string& content) {
  http::RequestHead head;
  head.method = std::move(method);
  head.target = std::move(target);
  TextContent body(content);
  ApiOutcome outcome =
      api_.HandleAs(CallerOf(page.who->account, site), {head, page.visitor.address, body});
  if (auto* answer = std::get_if<Answer>(&outcome)) return std::move(*answer);
  return ProblemAnswer(Error{Fault::kSelf, "no_answer", "the API did not answer"});
}

Answer AccountService::GetSite(const Page& page, const std::string& site, SiteNews news) {
  SiteView view;
  view.form_token = page.form_token();
  view.account = page.who->account;
  view.rights = RightsOf(view.account, site);
  Result<storage::Site> found = node_.metadata->FindSite(site);
  if (!found && found.error().reason == "no_such_site") return NoSuchPage();
  if (!found) return RefusalAnswer(found.error(), milliseconds(0));
  view.site = std::move(*found);
  auto releases = node_.metadata->Releases(site, kReleasesShown);
  if (!releases) return RefusalAnswer(releases.error(), milliseconds(0));
  view.releases = std::move(*releases);
  if (view.rights.Has(Right::kAdmin)) {
    const Json listed = JsonOf(Ask(page, site, "GET", "/v1/tokens"));
    if (listed.contains("tokens")) {
      for (const Json& token : listed["tokens"]) view.tokens.push_back(LineOf(token));
    }
  }
  view.problem = std::move(news.problem);
  view.notice = std::move(news.notice);
  view.made = std::move(news.made);
  return HtmlAnswer(page, news.status, SiteHtml(view));
}

Answer AccountService::PostActivate(const Page& page, const std::string& site) {
  const std::string release(page.form.Get("release"));
  const Answer done =
      Ask(page, site, "POST",
          "/v1/sites/" + site + "/releases/" + http::PercentEncode(release) + "/activate");
  if (done.status / 100 == 2) return Redirect(std::string(kSitesPage) + http::PercentEncode(site));
  return GetSite(page, site, {.status = done.status, .problem = ProblemOf(done)});
}

Answer AccountService::PostToken(const Page& page, const std::string& site) {
  Json draft = {{"name", page.form.Get("name")}, {"site", site}, {"scopes", Json::array()}};
  for (const Right right : kEveryRight) {
    const std::string name(RightName(right));
    if (page.form.Get("scope_" + name) == "on") draft["scopes"].push_back(name);
  }
  if (const std::string_view life = page.form.Get("expires"); !life.empty()) {
    draft["expires_in"] = life;
  }
  const Answer done = Ask(page, site, "POST", "/v1/tokens",
                          draft.dump(-1, ' ', false, Json::error_handler_t::replace));
  if (done.status / 100 != 2) {
    return GetSite(page, site, {.status = done.status, .problem = ProblemOf(done)});
  }
  const Json made = JsonOf(done);
  const Json s3 = made.contains("s3") ? made["s3"] : Json::object();
  // Shown in the answer to the form: a redirect would need the secret to be kept somewhere.
  return GetSite(page, site,
                 {.made = MadeToken{.name = TextOf(made, "name"),
                                    .token = TextOf(made, "token"),
                                    .s3_id = TextOf(s3, "access_key_id"),
                                    .s3_secret = TextOf(s3, "secret_access_key")}});
}

Answer AccountService::PostRevoke(const Page& page, const std::string& site) {
  const Answer done =
      Ask(page, site, "DELETE", "/v1/tokens/" + http::PercentEncode(page.form.Get("token")));
  if (done.status / 100 == 2) return Redirect(std::string(kSitesPage) + http::PercentEncode(site));
  return GetSite(page, site, {.status = done.status, .problem = ProblemOf(done)});
}

}  // namespace nearside::origin
