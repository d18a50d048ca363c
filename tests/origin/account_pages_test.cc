#include "origin/account_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace nearside::origin {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kEvil = "<img src=x onerror='alert(1)'>\"&";
constexpr const char* kHarmless = "&lt;img src=x onerror=&#39;alert(1)&#39;&gt;&quot;&amp;";

Rights Every() {
  Rights rights;
  for (const Right right : kEveryRight) rights.Add(right);
  return rights;
}

storage::Site EvilSite() {
  storage::Site site;
  site.name = kEvil;
  site.hosts = {kEvil};
  site.active = 7;
  return site;
}

HomeView EvilHome() {
  HomeView view;
  view.form_token = view.notice = kEvil;
  view.account.name = kEvil;
  view.sites.push_back({EvilSite(), Every()});
  storage::Session session;
  session.note = std::string(kEvil) + "\n" + kEvil;
  view.sessions.push_back(session);
  return view;
}

SiteView EvilSiteView() {
  SiteView view;
  view.form_token = view.problem = view.notice = kEvil;
  view.account.name = kEvil;
  view.site = EvilSite();
  view.rights = Every();
  storage::Release release;
  release.id = 3;
  release.state = storage::ReleaseState::kPast;
  release.bytes = 37'900'000;
  view.releases.push_back(release);
  view.tokens.push_back({.id = kEvil, .name = kEvil, .scopes = kEvil, .state = "active"});
  view.made = MadeToken{kEvil, kEvil, kEvil, kEvil};
  return view;
}

FormView EvilForm() { return {kEvil, kEvil, kEvil, kEvil, true}; }

TEST(AccountPagesTest, NothingThatAnybodyHasWrittenIsMarkup) {
  const std::pair<const char*, std::string> pages[] = {
      {"sign in", SignInHtml(EvilForm())},
      {"sign up", SignUpHtml(EvilForm())},
      {"password", PasswordHtml(EvilForm())},
      {"home", HomeHtml(EvilHome())},
      {"site", SiteHtml(EvilSiteView())},
      {"message", MessageHtml({kEvil, kEvil, kEvil, kEvil})},
  };
  for (const auto& [name, page] : pages) {
    EXPECT_THAT(page, HasSubstr(kHarmless)) << name;
    EXPECT_THAT(page, Not(HasSubstr("<img"))) << name;
    EXPECT_THAT(page, Not(HasSubstr("onerror='"))) << name;
    EXPECT_THAT(page, Not(HasSubstr("<script"))) << name;
    EXPECT_THAT(page, Not(HasSubstr("style=\""))) << name;
    EXPECT_THAT(page, Not(HasSubstr("://"))) << name;  // nothing from elsewhere
    EXPECT_THAT(page, testing::StartsWith("<!DOCTYPE html>")) << name;
    EXPECT_THAT(page, testing::EndsWith("</html>\n")) << name;
  }
}

/// Calls `visit` with each tag of a page: "input id=\"name\" …".
void EachTag(const std::string& page, const std::function<void(const std::string&)>& visit) {
  for (size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at + 1)) {
    visit(page.substr(at + 1, page.find('>', at) - at - 1));
  }
}

TEST(AccountPagesTest, EachFormIsAPostWithTheTokenAndEachInputHasALabel) {
  for (const std::string& page :
       {SignInHtml(EvilForm()), SignUpHtml(EvilForm()), PasswordHtml(EvilForm()),
        HomeHtml(EvilHome()), SiteHtml(EvilSiteView())}) {
    int forms = 0;
    int tokens = 0;
    EachTag(page, [&](const std::string& tag) {
      if (tag.starts_with("form ")) {
        ++forms;
        EXPECT_THAT(tag, HasSubstr("method=\"post\" action=\"/account/"));
      }
      if (tag.starts_with("input type=\"hidden\" name=\"form_token\"")) ++tokens;
      const size_t id = tag.find(" id=\"");
      if ((tag.starts_with("input ") || tag.starts_with("select ")) && id != std::string::npos) {
        const std::string name = tag.substr(id + 5, tag.find('"', id + 5) - id - 5);
        EXPECT_THAT(page, HasSubstr("<label for=\"" + name + "\"")) << tag;
      }
    });
    EXPECT_GT(forms, 0);
    EXPECT_EQ(forms, tokens);
  }
}

TEST(AccountPagesTest, WhatOneMayNotDoIsNotOffered) {
  SiteView view = EvilSiteView();
  EXPECT_THAT(SiteHtml(view), HasSubstr("Roll back"));
  EXPECT_THAT(SiteHtml(view), HasSubstr("Make token"));
  EXPECT_THAT(SiteHtml(view), HasSubstr("<td>37.9 MB</td>"));
  view.rights = Rights();
  view.rights.Add(Right::kRead);
  EXPECT_THAT(SiteHtml(view), Not(HasSubstr("Roll back")));
  EXPECT_THAT(SiteHtml(view), Not(HasSubstr("Make token")));
  FormView form;
  EXPECT_THAT(SignInHtml(form), Not(HasSubstr("/account/sign-up")));
  form.sign_up = true;
  EXPECT_THAT(SignInHtml(form), HasSubstr("/account/sign-up"));
}

TEST(AccountPagesTest, TheStyleAsksNobodyElse) {
  EXPECT_THAT(std::string(AccountStyle()), Not(HasSubstr("url(")));
  EXPECT_THAT(std::string(AccountStyle()), Not(HasSubstr("@import")));
}

}  // namespace
}  // namespace nearside::origin
