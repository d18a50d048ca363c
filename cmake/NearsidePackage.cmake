# `cmake --install` and the Debian package: `cpack --config build/release/CPackConfig.cmake` writes nearside_VERSION_ARCH.deb.
# Settings are in /etc/nearside (kept through upgrades), state is in /var/lib/nearside. The units start nothing by
# themselves: which daemon a machine runs is the operator's choice.

include(GNUInstallDirs)
install(TARGETS nearside nearside-edge nearside-geodns nearside-origin RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(TARGET nearside_vaes)
  # Beside the programs' folder, where nearside-edge looks.
  install(TARGETS nearside_vaes LIBRARY DESTINATION lib/nearside)
endif()
install(FILES
  deploy/systemd/nearside-edge.service
  deploy/systemd/nearside-geodns.service
  deploy/systemd/nearside-origin.service
  deploy/systemd/nearside-worker.service
  DESTINATION /lib/systemd/system)
# Settings that are there are the operator's: a second install leaves them.
install(CODE "set(samples \"${CMAKE_SOURCE_DIR}/deploy/etc\")")
install(CODE [[
  foreach(name edge.toml geodns.toml origin.toml worker.toml example.org.zone)
    if(NOT EXISTS "$ENV{DESTDIR}/etc/nearside/${name}")
      file(INSTALL "${samples}/${name}" DESTINATION "/etc/nearside")  # DESTDIR goes before it by itself
    endif()
  endforeach()]])
install(FILES deploy/etc/logrotate DESTINATION /etc/logrotate.d RENAME nearside)
install(FILES README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES deploy/docker/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/deploy/docker)
install(DIRECTORY deploy/dashboards DESTINATION ${CMAKE_INSTALL_DOCDIR}/deploy PATTERN __pycache__ EXCLUDE)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME nearside)
set(CPACK_PACKAGE_VENDOR "Nearside")
set(CPACK_PACKAGE_CONTACT "Nearside <nearside@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Content delivery network that you run yourself")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
  "GeoDNS servers send each browser to the nearest healthy edge cache; edges serve over HTTP/2 from\n\
memory and LMDB; the origin publishes releases and purges every edge with a receipt.")
# The units name the programs there.
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_SET_DESTDIR ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# What https:// origins and checks are verified by.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, ca-certificates")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  "${CMAKE_SOURCE_DIR}/deploy/debian/conffiles"
  "${CMAKE_SOURCE_DIR}/deploy/debian/postinst"
  "${CMAKE_SOURCE_DIR}/deploy/debian/postrm"
  "${CMAKE_SOURCE_DIR}/deploy/debian/prerm")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
