# What the server room needs beyond its sources: the page inside the program, and one precompiled header for Boost.
file(GLOB_RECURSE web_files CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/web
     ${CMAKE_SOURCE_DIR}/web/*.html ${CMAKE_SOURCE_DIR}/web/*.js ${CMAKE_SOURCE_DIR}/web/*.css ${CMAKE_SOURCE_DIR}/web/*.svg)
list(FILTER web_files EXCLUDE REGEX "(^|/)(node_modules|dist)/|\\.test\\.js$")
list(SORT web_files)
list(TRANSFORM web_files PREPEND ${CMAKE_SOURCE_DIR}/web/ OUTPUT_VARIABLE web_paths)
set(web_source ${CMAKE_BINARY_DIR}/web_assets.cc)
add_custom_command(
  OUTPUT ${web_source}
  COMMAND ${CMAKE_COMMAND} -DROOT=${CMAKE_SOURCE_DIR}/web -DOUT=${web_source} "-DFILES=${web_files}"
          -P ${CMAKE_SOURCE_DIR}/cmake/embed_web.cmake
  DEPENDS ${web_paths} ${CMAKE_SOURCE_DIR}/cmake/embed_web.cmake
  COMMENT "Embedding web/"
  VERBATIM)
target_sources(server PRIVATE ${web_source})
set_source_files_properties(${web_source} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
target_compile_definitions(server PRIVATE BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)
# GCC 12 mistakes how Asio allocates coroutine frames.
target_compile_options(server PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete>)
target_precompile_headers(server PRIVATE ${CMAKE_SOURCE_DIR}/src/server/asio.h)
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/server/event_queue.cc ${CMAKE_SOURCE_DIR}/src/server/spoken_answer_store.cc
                            ${CMAKE_SOURCE_DIR}/src/server/boost_source.cc PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
