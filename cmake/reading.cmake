# How English words sound lies inside the program.
set(pronunciations ${CMAKE_SOURCE_DIR}/src/reading/pronunciations.txt)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${pronunciations})
file(READ ${pronunciations} pronunciation_lines)
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/pronunciation_lines.cc @ONLY CONTENT
     "#include \"reading/pronunciations.h\"\n\nstd::string_view calliope::reading::pronunciation_lines() {\n  return R\"lines(@pronunciation_lines@)lines\";\n}\n")
target_sources(reading PRIVATE ${CMAKE_BINARY_DIR}/pronunciation_lines.cc)
